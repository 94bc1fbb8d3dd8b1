/* settings.h - the configuration that the keyspace and the commands look at.
 *
 * Part of the server's configuration snapshot (shards/config.h): immutable while published, a
 * change publishes a new one. Names are those of redis.conf with _ for -. */
#ifndef ASHLAR_CORE_SETTINGS_H
#define ASHLAR_CORE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum maxmemory_policy {
    POLICY_NOEVICTION,
    POLICY_VOLATILE_LRU,
    POLICY_VOLATILE_LFU,
    POLICY_VOLATILE_RANDOM,
    POLICY_VOLATILE_TTL,
    POLICY_ALLKEYS_LRU,
    POLICY_ALLKEYS_LFU,
    POLICY_ALLKEYS_RANDOM,
};

struct settings {
    int databases;
    int64_t proto_max_bulk_len;
    int64_t maxmemory;
    enum maxmemory_policy maxmemory_policy;
    int maxmemory_samples;
    int lfu_log_factor, lfu_decay_time;
    int active_expire_effort;
    bool active_expire;     /* DEBUG SET-ACTIVE-EXPIRE */
    bool lazyfree_lazy_expire, lazyfree_lazy_server_del, lazyfree_lazy_user_del,
        lazyfree_lazy_user_flush, lazyfree_lazy_eviction;
    int64_t hash_max_listpack_entries, hash_max_listpack_value;
    int64_t list_max_listpack_size, list_compress_depth;
    int64_t list_large_bytes; /* DEBUG QUICKLIST-PACKED-THRESHOLD; 0: by the size of nodes */
    int64_t set_max_intset_entries, set_max_listpack_entries, set_max_listpack_value;
    int64_t zset_max_listpack_entries, zset_max_listpack_value;
    int64_t hll_sparse_max_bytes;
    int64_t stream_node_max_bytes, stream_node_max_entries;
    bool rdb_compression, rdb_checksum;
    int sanitize_dump_payload; /* 0 no, 1 yes, 2 clients */
    bool skip_dump_checksum;   /* DEBUG SET-SKIP-CHECKSUM-VALIDATION */
    int notify_keyspace_events; /* mask of enum event_class */
};

static inline bool settings_use_lfu(const struct settings *s)
{
    return s->maxmemory_policy == POLICY_VOLATILE_LFU || s->maxmemory_policy == POLICY_ALLKEYS_LFU;
}

#endif
