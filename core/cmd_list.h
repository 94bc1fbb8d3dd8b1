/* cmd_list.h - the functions of cmd_list.c that the rows in cmd_list_table.c name. Private to
 * core/. */
#ifndef ASHLAR_CORE_CMD_LIST_H
#define ASHLAR_CORE_CMD_LIST_H

#include "core/command.h"

command_run list__lpush, list__rpush, list__lpushx, list__rpushx;
command_run list__lpop, list__rpop, list__lmpop, list__lmove, list__rpoplpush;
command_run list__blpop, list__brpop, list__blmpop, list__blmove, list__brpoplpush;
command_run list__llen, list__lindex, list__lrange, list__lpos;
command_run list__lset, list__linsert, list__lrem, list__ltrim;

#endif
