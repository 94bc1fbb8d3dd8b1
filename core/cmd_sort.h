/* cmd_sort.h - SORT and SORT_RO, for the rows in cmd_sort_table.c. Private to core/; thread contract
 * of command.h. */
#ifndef ASHLAR_CORE_CMD_SORT_H
#define ASHLAR_CORE_CMD_SORT_H

#include "core/command.h"

command_run sort__sort, sort__sort_ro;
/* The key to be sorted and, if any, that of STORE. */
command_find_keys sort__find_keys, sort__find_keys_ro;
/* Whether BY or GET name keys by a pattern that leaves the sorted key's slot. */
bool sort__undeclared(const struct slice *argv, uint32_t argc);

#endif
