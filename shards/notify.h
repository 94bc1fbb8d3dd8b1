/* notify.h - keyspace notifications: what happens to keys, as messages of Pub/Sub.
 *
 *   key_event() ─► hook (if notify-keyspace-events has the class) ─► __keyspace@0__:key  "event"
 *                                                                └─► __keyevent@0__:event "key"
 *
 * The hook runs where the command runs: on the key's shard, or on the one that has borrowed its
 * slot. Patterns are matched right there; a message for a channel proper goes to the channel's
 * owner, if anybody listens to such a channel at all (pubsub.h I4).
 *
 * I1  Events of one key arrive in their order, at patterns and at channels: whoever worked on its
 *     slot sends what is in the box (push.h) before the slot passes to another shard (exec.c).
 *
 * Between the events of different shards there is no order for patterns; for a channel there is
 * the one in which its owner got them.
 */
#ifndef ASHLAR_SHARDS_NOTIFY_H
#define ASHLAR_SHARDS_NOTIFY_H

#include "core/keyspace.h"

keyspace_event_hook notify_event;

#endif
