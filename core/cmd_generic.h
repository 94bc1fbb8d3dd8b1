/* cmd_generic.h - the commands that work on keys of any type: what the files cmd_expire.c,
 * cmd_key.c, cmd_scan.c, cmd_object.c and cmd_serial.c run, for the rows in cmd_generic_table.c.
 *
 * Private to core/, but for what cmd_object.h and cmd_scan.h export. Each function has the thread
 * contract of command.h: it runs where its keys live. */
#ifndef ASHLAR_CORE_CMD_GENERIC_H
#define ASHLAR_CORE_CMD_GENERIC_H

#include "core/cmd_object.h"
#include "core/cmd_scan.h"
#include "core/command.h"

/* cmd_expire.c */
command_run cmd_expire, cmd_pexpire, cmd_expireat, cmd_pexpireat;
command_run cmd_ttl, cmd_pttl, cmd_expiretime, cmd_pexpiretime, cmd_persist;

/* cmd_key.c */
command_run cmd_del, cmd_unlink, cmd_exists, cmd_touch, cmd_type;
command_run cmd_rename, cmd_renamenx, cmd_copy, cmd_move;
/* As key_read, but for a look that is no use of the key: its access clock stays as it is. */
struct entry *cmd__read_untouched(struct call *c, const struct key *k);
const char *cmd__type_name(enum value_type type);

/* cmd_scan.c: whole databases */
command_run cmd_keys, cmd_scan, cmd_randomkey, cmd_dbsize, cmd_flushdb, cmd_flushall, cmd_swapdb;

/* cmd_object.c */
command_run cmd_object_encoding, cmd_object_freq, cmd_object_idletime, cmd_object_refcount;
command_run cmd_object_help;

/* cmd_serial.c */
command_run cmd_dump, cmd_restore;

#endif
