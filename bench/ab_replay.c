/* ab_replay.c - see ab_replay.h. */
#include "bench/ab_replay.h"

#include "bench/ab_template.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Addresses of the recording, by open addressing. */
struct client_table {
    char **names;
    uint32_t *numbers;
    size_t cap, count;
};

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    return memory;
}

static size_t slot_for(const struct client_table *t, const char *name)
{
    uint64_t h = 0;
    for (const char *c = name; *c; c++) {
        h = ab_mix(h + (unsigned char)*c);
    }
    size_t at = h & (t->cap - 1);
    while (t->names[at] && strcmp(t->names[at], name) != 0) {
        at = (at + 1) & (t->cap - 1);
    }
    return at;
}

static uint32_t client_number(struct client_table *t, const char *name)
{
    if (t->count * 2 >= t->cap) {
        struct client_table old = *t;
        t->cap = old.cap ? old.cap * 2 : 64;
        t->names = need(calloc(t->cap, sizeof *t->names));
        t->numbers = need(calloc(t->cap, sizeof *t->numbers));
        for (size_t i = 0; i < old.cap; i++) {
            if (old.names[i]) {
                size_t to = slot_for(t, old.names[i]);
                t->names[to] = old.names[i];
                t->numbers[to] = old.numbers[i];
            }
        }
        free(old.names);
        free(old.numbers);
    }
    size_t at = slot_for(t, name);
    if (!t->names[at]) {
        t->names[at] = need(strdup(name));
        t->numbers[at] = (uint32_t)t->count++;
    }
    return t->numbers[at];
}

static void table_free(struct client_table *t)
{
    for (size_t i = 0; i < t->cap; i++) {
        free(t->names[i]);
    }
    free(t->names);
    free(t->numbers);
}

static bool is_left_out(const char *command)
{
    static const char *const list[] = {
        "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe",
        "monitor", "sync", "psync", "replconf", "auth", "hello", "shutdown", "quit", "reset", "select",
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcasecmp(command, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

static uint16_t name_number(struct ab_replay *r, const char *command)
{
    char name[AB_REPLAY_NAME_BYTES];
    size_t n = 0;
    for (; command[n] && n < sizeof name - 1; n++) {
        name[n] = (char)(command[n] >= 'a' && command[n] <= 'z' ? command[n] - 32 : command[n]);
    }
    name[n] = 0;
    for (int i = 0; i < r->name_count; i++) {
        if (strcmp(r->names[i], name) == 0) {
            return (uint16_t)i;
        }
    }
    if (r->name_count == AB_REPLAY_NAMES_MAX) {
        return AB_REPLAY_NAMES_MAX - 1;
    }
    strcpy(r->names[r->name_count], r->name_count == AB_REPLAY_NAMES_MAX - 1 ? "OTHER" : name);
    return (uint16_t)r->name_count++;
}

struct growing {
    size_t len, cap, items_cap;
};

static void append(struct ab_replay *r, struct growing *g, const char *bytes, size_t len)
{
    if (g->len + len > g->cap) {
        g->cap = (g->len + len) * 2;
        r->bytes = need(realloc(r->bytes, g->cap));
    }
    memcpy(r->bytes + g->len, bytes, len);
    g->len += len;
}

static void add_item(struct ab_replay *r, struct growing *g, struct ab_replay_item item, int argc,
                     char **args, const size_t *lens)
{
    char head[32];
    item.offset = g->len;
    item.name = name_number(r, args[0]);
    append(r, g, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", argc));
    for (int i = 0; i < argc; i++) {
        append(r, g, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", lens[i]));
        append(r, g, args[i], lens[i]);
        append(r, g, "\r\n", 2);
    }
    item.len = (uint32_t)(g->len - item.offset);
    if (r->count == g->items_cap) {
        g->items_cap = g->items_cap ? g->items_cap * 2 : 1024;
        r->items = need(realloc(r->items, g->items_cap * sizeof *r->items));
    }
    r->items[r->count++] = item;
}

/* "<seconds>.<micros> [<db> <address>] "arg" …". False: it is none of that. */
static bool take_line(struct ab_replay *r, struct growing *g, struct client_table *clients,
                      const char *line, uint64_t *first_ns)
{
    uint64_t seconds;
    unsigned micros, db;
    char address[200], **args;
    size_t *lens;
    int used = 0;

    /* An address may have brackets of its own: "[::1]:1234". */
    const char *end = strstr(line, "] ");
    if (sscanf(line, "%" SCNu64 ".%6u [%u %n", &seconds, &micros, &db, &used) != 3 || used == 0 || !end ||
        end <= line + used || (size_t)(end - line - used) >= sizeof address) {
        return false;
    }
    snprintf(address, sizeof address, "%.*s", (int)(end - line - used), line + used);
    int argc = ab_args_split(end + 2, &args, &lens);
    if (argc == 0) {
        ab_args_free(argc, args, lens);
    }
    if (argc < 1) {
        return false;
    }
    uint64_t at_ns = seconds * 1000000000u + micros * UINT64_C(1000);
    if (r->count == 0) {
        *first_ns = at_ns;
    }
    if (strcmp(address, "lua") == 0 || is_left_out(args[0]) || db > UINT16_MAX) {
        r->left_out++;
    } else {
        struct ab_replay_item item = {.at_ns = at_ns > *first_ns ? at_ns - *first_ns : 0,
                                      .client = client_number(clients, address),
                                      .db = (uint16_t)db,
                                      .key_arg = (uint16_t)ab_key_arg(argc, args)};
        add_item(r, g, item, argc, args, lens);
    }
    ab_args_free(argc, args, lens);
    return true;
}

bool ab_replay_read(struct ab_replay *r, const char *path, char err[300])
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct client_table clients = {0};
    struct growing g = {0};
    uint64_t first_ns = 0, number = 0;
    char *line = NULL;
    size_t cap = 0;
    bool ok = f;

    memset(r, 0, sizeof *r);
    if (!f) {
        snprintf(err, 300, "--replay: %s: %s", path, strerror(errno));
    }
    while (ok && getline(&line, &cap, f) > 0) {
        number++;
        line[strcspn(line, "\r\n")] = 0;
        if (!*line || (number == 1 && (strcmp(line, "OK") == 0 || strcmp(line, "+OK") == 0))) {
            continue;
        }
        ok = take_line(r, &g, &clients, line, &first_ns);
        if (!ok) {
            snprintf(err, 300, "--replay: line %" PRIu64 " of %s is not what MONITOR writes", number, path);
        }
    }
    if (ok && r->count == 0) {
        snprintf(err, 300, "--replay: %s has no commands", path);
        ok = false;
    }
    r->clients = (uint32_t)clients.count;
    table_free(&clients);
    free(line);
    if (f && f != stdin) {
        fclose(f);
    }
    return ok;
}

void ab_replay_free(struct ab_replay *r)
{
    free(r->items);
    free(r->bytes);
    memset(r, 0, sizeof *r);
}
