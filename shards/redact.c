/* redact.c - which arguments are secret (redact.h).
 *
 *   AUTH <everything>     HELLO … AUTH <name> <password>     CONFIG SET <secret directive> <value>
 *   ACL SETUSER <everything>     MIGRATE … AUTH <password> | AUTH2 <name> <password>
 */
#include "shards/redact.h"
#include "shards/config.h"

static bool after_word(const struct slice *argv, uint32_t i, uint32_t from, uint32_t distance,
                       const char *word)
{
    return i >= from + distance && slice_is(argv[i - distance], word);
}

bool redact_argument(const struct command *cmd, const struct slice *argv, uint32_t argc, uint32_t i)
{
    if (i == 0 || i >= argc) {
        return false;
    }
    if (cmd->parent) {
        const char *container = cmd->parent->name;
        if (strcmp(container, "config") == 0 && strcmp(cmd->name, "set") == 0) {
            return i >= 3 && i % 2 == 1 && config_is_sensitive(argv[i - 1]);
        }
        return strcmp(container, "acl") == 0 && strcmp(cmd->name, "setuser") == 0 && i >= 2;
    }
    if (strcmp(cmd->name, "auth") == 0) {
        return true;
    }
    if (strcmp(cmd->name, "hello") == 0) {
        return after_word(argv, i, 2, 1, "auth") || after_word(argv, i, 2, 2, "auth");
    }
    if (strcmp(cmd->name, "migrate") == 0) { /* host port key db timeout: options begin at 6 */
        return after_word(argv, i, 6, 1, "auth") || after_word(argv, i, 6, 1, "auth2") ||
               after_word(argv, i, 6, 2, "auth2");
    }
    return false;
}
