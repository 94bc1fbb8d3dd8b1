/* cmd_geo_table.c - the rows of the geo commands (see command.h), ordered by name. Facts are those
 * of Redis 7.4, which clients read through COMMAND; the descriptions are ours. */
#include "core/cmd_geo.h"

#define ARG(name_, type_, ...) {.name = (name_), .type = (type_), __VA_ARGS__}
#define END {.name = NULL}
#define CHANGE(since_, text_) {.since = (since_), .text = (text_)}

/* --- arguments --- */

static const struct command_arg args_unit[] = {
    ARG("m", ARG_PURE_TOKEN, .token = "M"),
    ARG("km", ARG_PURE_TOKEN, .token = "KM"),
    ARG("ft", ARG_PURE_TOKEN, .token = "FT"),
    ARG("mi", ARG_PURE_TOKEN, .token = "MI"),
    END,
};
static const struct command_arg args_condition[] = {
    ARG("nx", ARG_PURE_TOKEN, .token = "NX"), ARG("xx", ARG_PURE_TOKEN, .token = "XX"), END,
};
static const struct command_arg args_place[] = {
    ARG("longitude", ARG_DOUBLE), ARG("latitude", ARG_DOUBLE), ARG("member", ARG_STRING), END,
};
static const struct command_arg args_geoadd[] = {
    ARG("key", ARG_KEY),
    ARG("condition", ARG_ONEOF, .flags = ARG_OPTIONAL, .since = "6.2.0", .sub = args_condition),
    ARG("change", ARG_PURE_TOKEN, .token = "CH", .flags = ARG_OPTIONAL, .since = "6.2.0"),
    ARG("data", ARG_BLOCK, .flags = ARG_MULTIPLE, .sub = args_place),
    END,
};
static const struct command_arg args_geodist[] = {
    ARG("key", ARG_KEY),
    ARG("member1", ARG_STRING),
    ARG("member2", ARG_STRING),
    ARG("unit", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_unit),
    END,
};
static const struct command_arg args_members[] = {
    ARG("key", ARG_KEY),
    ARG("member", ARG_STRING, .flags = ARG_OPTIONAL | ARG_MULTIPLE),
    END,
};

static const struct command_arg args_order[] = {
    ARG("asc", ARG_PURE_TOKEN, .token = "ASC"), ARG("desc", ARG_PURE_TOKEN, .token = "DESC"), END,
};
static const struct command_arg args_count[] = {
    ARG("count", ARG_INTEGER, .token = "COUNT"),
    ARG("any", ARG_PURE_TOKEN, .token = "ANY", .flags = ARG_OPTIONAL),
    END,
};
static const struct command_arg args_radius_count[] = {
    ARG("count", ARG_INTEGER, .token = "COUNT"),
    ARG("any", ARG_PURE_TOKEN, .token = "ANY", .flags = ARG_OPTIONAL, .since = "6.2.0"),
    END,
};
static const struct command_arg args_radius_store[] = {
    ARG("storekey", ARG_KEY, .token = "STORE", .key_spec = 1),
    ARG("storedistkey", ARG_KEY, .token = "STOREDIST", .key_spec = 2),
    END,
};

#define ARGS_WITH \
    ARG("withcoord", ARG_PURE_TOKEN, .token = "WITHCOORD", .flags = ARG_OPTIONAL), \
    ARG("withdist", ARG_PURE_TOKEN, .token = "WITHDIST", .flags = ARG_OPTIONAL), \
    ARG("withhash", ARG_PURE_TOKEN, .token = "WITHHASH", .flags = ARG_OPTIONAL)
#define ARGS_ORDER ARG("order", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_order)
#define ARGS_RADIUS_OPTIONS \
    ARG("radius", ARG_DOUBLE), ARG("unit", ARG_ONEOF, .sub = args_unit), ARGS_WITH, \
    ARG("count-block", ARG_BLOCK, .flags = ARG_OPTIONAL, .sub = args_radius_count), ARGS_ORDER
#define ARGS_POINT ARG("longitude", ARG_DOUBLE), ARG("latitude", ARG_DOUBLE)
#define ARGS_STORE ARG("store", ARG_ONEOF, .flags = ARG_OPTIONAL, .sub = args_radius_store)

static const struct command_arg args_georadius[] = {
    ARG("key", ARG_KEY), ARGS_POINT, ARGS_RADIUS_OPTIONS, ARGS_STORE, END,
};
static const struct command_arg args_georadius_ro[] = {
    ARG("key", ARG_KEY), ARGS_POINT, ARGS_RADIUS_OPTIONS, END,
};
static const struct command_arg args_georadiusbymember[] = {
    ARG("key", ARG_KEY), ARG("member", ARG_STRING), ARGS_RADIUS_OPTIONS, ARGS_STORE, END,
};
static const struct command_arg args_georadiusbymember_ro[] = {
    ARG("key", ARG_KEY), ARG("member", ARG_STRING), ARGS_RADIUS_OPTIONS, END,
};

static const struct command_arg args_from_point[] = {ARGS_POINT, END};
static const struct command_arg args_from[] = {
    ARG("member", ARG_STRING, .token = "FROMMEMBER"),
    ARG("fromlonlat", ARG_BLOCK, .token = "FROMLONLAT", .sub = args_from_point),
    END,
};
static const struct command_arg args_circle[] = {
    ARG("radius", ARG_DOUBLE, .token = "BYRADIUS"), ARG("unit", ARG_ONEOF, .sub = args_unit), END,
};
static const struct command_arg args_box[] = {
    ARG("width", ARG_DOUBLE, .token = "BYBOX"),
    ARG("height", ARG_DOUBLE),
    ARG("unit", ARG_ONEOF, .sub = args_unit),
    END,
};
static const struct command_arg args_by[] = {
    ARG("circle", ARG_BLOCK, .sub = args_circle), ARG("box", ARG_BLOCK, .sub = args_box), END,
};
#define ARGS_SEARCH \
    ARG("from", ARG_ONEOF, .sub = args_from), ARG("by", ARG_ONEOF, .sub = args_by), ARGS_ORDER, \
    ARG("count-block", ARG_BLOCK, .flags = ARG_OPTIONAL, .sub = args_count)

static const struct command_arg args_geosearch[] = {
    ARG("key", ARG_KEY), ARGS_SEARCH, ARGS_WITH, END,
};
static const struct command_arg args_geosearchstore[] = {
    ARG("destination", ARG_KEY),
    ARG("source", ARG_KEY, .key_spec = 1),
    ARGS_SEARCH,
    ARG("storedist", ARG_PURE_TOKEN, .token = "STOREDIST", .flags = ARG_OPTIONAL),
    END,
};

/* --- history --- */

static const struct command_change history_geoadd[] = {
    CHANGE("6.2.0", "Options `CH`, `NX` and `XX`."), {.since = NULL},
};
static const struct command_change history_case[] = {
    CHANGE("7.0.0", "Units in capitals."), {.since = NULL},
};
static const struct command_change history_any[] = {
    CHANGE("6.2.0", "Option `ANY` of `COUNT`."),
    CHANGE("7.0.0", "Units in capitals."),
    {.since = NULL},
};

/* --- the rows --- */

#define GEO_ROW(name_, run_, arity_, flags_) \
    .name = (name_), .run = (run_), .arity = (arity_), .flags = (flags_), .acl = ACL_GEO, \
    .route = ROUTE_KEYS, .group = "geo"
#define READS (KEY_RO | KEY_ACCESS)
#define STORES (KEY_OW | KEY_UPDATE)
#define KEYS_AFTER(word, from_) \
    .begin = KEY_BEGIN_KEYWORD, .keyword = (word), .index = (from_), .find = KEY_FIND_RANGE, \
    .last = 0, .step = 1
#define READ_KEY .keys = {{.flags = READS, KEYS_AT(1, 0, 1)}}
#define READ_AND_STORE(from_) \
    .apart = APART_LEND, \
    .keys = {{.flags = READS, KEYS_AT(1, 0, 1)}, {.flags = STORES, KEYS_AFTER("STORE", from_)}, \
             {.flags = STORES, KEYS_AFTER("STOREDIST", from_)}}
#define WRITES (CMD_WRITE | CMD_DENYOOM)
#define SEARCH_COST \
    "O(N+log(M)) where N is the number of members in the cells around the shape and M that of " \
    "the sorted set"

const struct command geo_commands[] = {
    {
        GEO_ROW("geoadd", geo__geoadd, -5, WRITES | CMD_SLICED),
        .sliced_from = COMMAND_MANY_ARGS,
        .keys = {{.flags = KEY_RW | KEY_UPDATE, KEYS_AT(1, 0, 1)}},
        .since = "3.2.0",
        .summary = "Adds members with their places; creates the key if it is absent.",
        .complexity = "O(log(N)) for each member, where N is the size of the sorted set",
        .history = history_geoadd,
        .args = args_geoadd,
    },
    {
        GEO_ROW("geodist", geo__geodist, -4, CMD_READONLY),
        READ_KEY,
        .since = "3.2.0",
        .summary = "Replies the distance between two members.",
        .complexity = "O(1)",
        .args = args_geodist,
    },
    {
        GEO_ROW("geohash", geo__geohash, -2, CMD_READONLY),
        READ_KEY,
        .since = "3.2.0",
        .summary = "Replies the places of members as standard geohashes.",
        .complexity = "O(1) for each member",
        .args = args_members,
    },
    {
        GEO_ROW("geopos", geo__geopos, -2, CMD_READONLY),
        READ_KEY,
        .since = "3.2.0",
        .summary = "Replies the longitudes and latitudes of members.",
        .complexity = "O(1) for each member",
        .args = args_members,
    },
    {
        GEO_ROW("georadius", geo__georadius, -6, WRITES | CMD_SLICED),
        READ_AND_STORE(6),
        .since = "3.2.0",
        .summary = "Finds the members within a distance of a place, and may store them.",
        .complexity = SEARCH_COST,
        .deprecated_since = "6.2.0",
        .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
        .history = history_any,
        .args = args_georadius,
    },
    {
        GEO_ROW("georadius_ro", geo__georadius_ro, -6, CMD_READONLY | CMD_SLICED),
        READ_KEY,
        .since = "3.2.10",
        .summary = "Finds the members within a distance of a place.",
        .complexity = SEARCH_COST,
        .deprecated_since = "6.2.0",
        .replaced_by = "`GEOSEARCH` with the `BYRADIUS` argument",
        .history = history_any,
        .args = args_georadius_ro,
    },
    {
        GEO_ROW("georadiusbymember", geo__georadiusbymember, -5, WRITES | CMD_SLICED),
        READ_AND_STORE(5),
        .since = "3.2.0",
        .summary = "Finds the members within a distance of a member, and may store them.",
        .complexity = SEARCH_COST,
        .deprecated_since = "6.2.0",
        .replaced_by =
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        .history = history_any,
        .args = args_georadiusbymember,
    },
    {
        GEO_ROW("georadiusbymember_ro", geo__georadiusbymember_ro, -5, CMD_READONLY | CMD_SLICED),
        READ_KEY,
        .since = "3.2.10",
        .summary = "Finds the members within a distance of a member.",
        .complexity = SEARCH_COST,
        .deprecated_since = "6.2.0",
        .replaced_by = "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
        .history = history_any,
        .args = args_georadiusbymember_ro,
    },
    {
        GEO_ROW("geosearch", geo__geosearch, -7, CMD_READONLY | CMD_SLICED),
        READ_KEY,
        .since = "6.2.0",
        .summary = "Finds the members within a circle or a box.",
        .complexity = SEARCH_COST,
        .history = history_case,
        .args = args_geosearch,
    },
    {
        GEO_ROW("geosearchstore", geo__geosearchstore, -8, WRITES | CMD_SLICED),
        .apart = APART_LEND,
        .keys = {{.flags = STORES, KEYS_AT(1, 0, 1)}, {.flags = READS, KEYS_AT(2, 0, 1)}},
        .since = "6.2.0",
        .summary = "Finds the members within a circle or a box and stores them.",
        .complexity = SEARCH_COST,
        .history = history_case,
        .args = args_geosearchstore,
    },
    {.name = NULL},
};
