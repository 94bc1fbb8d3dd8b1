/* config_load.c - reading configuration: files, stdin, command line.
 *
 *   argv ──config_lines_of_args──► lines ┐
 *   file, stdin ─────────────────────────┴─► load_text ─► load_line ─► config__set
 *                                                ▲              │ include
 *                                                └──────────────┘ (at most INCLUDE_DEPTH_MAX deep)
 *
 * What is wrong is reported as Redis does: where, the line, and why; the server does not start.
 * Everything here blocks on files and belongs to start-up. */
#include "shards/config_table.h"
#include "shards/version.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    INCLUDE_DEPTH_MAX = 16,
    FILE_BYTES_MAX = 16 * 1024 * 1024,
    LINE_SHOWN_BYTES = 160, /* of what is wrong, so that the report fits CONFIG_ERR_BYTES */
    REASON_SHOWN_BYTES = 220,
};

static bool load_file(struct config *c, const char *path, int depth, char err[CONFIG_ERR_BYTES]);

/* --- words of a line ------------------------------------------------------------------------- */

static int hex_value(char ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }
    ch = (char)(ch | 0x20);
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r' || ch == '\v' || ch == '\f';
}

/* Reads what follows a double quote; returns the place behind the closing one, or NULL. */
static const char *unquote_double(const char *p, char **out)
{
    for (; *p != '"'; p++) {
        if (*p == '\0') {
            return NULL;
        }
        if (*p != '\\' || p[1] == '\0') {
            *(*out)++ = *p;
            continue;
        }
        p++;
        if (*p == 'x' && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
            *(*out)++ = (char)(hex_value(p[1]) * 16 + hex_value(p[2]));
            p += 2;
            continue;
        }
        static const char letters[] = "nrtba", meant[] = "\n\r\t\b\a";
        const char *at = strchr(letters, *p);
        *(*out)++ = at != NULL ? meant[at - letters] : *p;
    }
    return p + 1;
}

static const char *unquote_single(const char *p, char **out)
{
    for (; *p != '\''; p++) {
        if (*p == '\0') {
            return NULL;
        }
        if (*p == '\\' && p[1] == '\'') {
            p++;
        }
        *(*out)++ = *p;
    }
    return p + 1;
}

/* One word; returns the place behind it, or NULL when a quote is not closed or not at its end. */
static const char *split_word(const char *p, char **out)
{
    while (*p != '\0' && !is_blank(*p)) {
        if (*p == '"' || *p == '\'') {
            p = *p == '"' ? unquote_double(p + 1, out) : unquote_single(p + 1, out);
            if (p == NULL || (*p != '\0' && !is_blank(*p))) {
                return NULL;
            }
        } else {
            *(*out)++ = *p++;
        }
    }
    *(*out)++ = '\0';
    return p;
}

char **config__split(const char *line, int *argc)
{
    /* No more words than half the characters, and no more text than the line. */
    const size_t len = strlen(line);
    const size_t words_max = len / 2 + 2;
    char **argv = config__alloc(words_max * sizeof(char *) + len + words_max);
    char *out = (char *)(argv + words_max);

    *argc = 0;
    for (const char *p = line;;) {
        while (is_blank(*p)) {
            p++;
        }
        argv[*argc] = out;
        if (*p == '\0') {
            return argv;
        }
        (*argc)++;
        p = split_word(p, &out);
        if (p == NULL) {
            free(argv);
            return NULL;
        }
    }
}

/* --- files ----------------------------------------------------------------------------------- */

static char *read_stream(FILE *f, size_t *len)
{
    struct config_text t = {0};
    char buf[4096];
    size_t n;
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0) {
        if (t.len + n > FILE_BYTES_MAX) {
            free(t.data);
            errno = EFBIG;
            return NULL;
        }
        config__append(&t, buf, n);
    }
    if (ferror(f)) {
        free(t.data);
        errno = EIO;
        return NULL;
    }
    *len = t.len;
    return config__take(&t);
}

char *config__read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return NULL;
    }
    char *data = read_stream(f, len);
    const int saved = errno;
    fclose(f);
    errno = saved;
    return data;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Directives that Redis once had and still skips. */
static bool is_obsolete(const char *name)
{
    return strcasecmp(name, "list-max-ziplist-entries") == 0 ||
           strcasecmp(name, "list-max-ziplist-value") == 0 ||
           strcasecmp(name, "lua-replicate-commands") == 0;
}

static bool load_row(struct config *c, int row, int argc, char **argv, char why[CONFIG_ERR_BYTES])
{
    const bool multi = config__rows[row].flags & CONFIG_MULTI_ARG;
    if (!multi && argc != 1) {
        snprintf(why, CONFIG_ERR_BYTES, "wrong number of arguments");
        return false;
    }
    if (config__rows[row].flags & CONFIG_BINARY) {
        config__set_binary(c, row, argv[0], (size_t)(argv[1] - argv[0]) - 1);
        return true;
    }
    if (multi && argc == 1 && argv[0][0] != '\0') {
        /* One argument that holds several: "--save '60 1'". */
        int inner;
        char **words = config__split(argv[0], &inner);
        if (words == NULL) {
            snprintf(why, CONFIG_ERR_BYTES, "Unbalanced quotes in configuration line");
            return false;
        }
        const bool ok = config__set(c, row, inner, words, why);
        free(words);
        return ok;
    }
    return config__set(c, row, argc, argv, why);
}

static void add_rename(struct config *c, const char *from, const char *to)
{
    struct config_rename *more =
        config__alloc(sizeof(*more) * (size_t)(c->rename_count + 1));
    if (c->rename_count > 0) {
        memcpy(more, c->renames, sizeof(*more) * (size_t)c->rename_count);
    }
    free(c->renames);
    c->renames = more;
    c->renames[c->rename_count].from = config__strdup(from);
    c->renames[c->rename_count].to = config__strdup(to);
    c->rename_count++;
}

/* why is empty when an included file has already said what is wrong in *err. */
static bool load_words(struct config *c, int argc, char **argv, int depth,
                       char why[CONFIG_ERR_BYTES], char err[CONFIG_ERR_BYTES])
{
    const char *name = argv[0];
    const int row = config_find(slice_str(name));
    const char *reason;

    if (row >= 0) {
        return load_row(c, row, argc - 1, argv + 1, why);
    }
    if (is_obsolete(name) && argc == 2) {
        return true;
    }
    if (strcasecmp(name, "include") == 0 && argc == 2) {
        if (depth < INCLUDE_DEPTH_MAX) {
            return load_file(c, argv[1], depth + 1, err);
        }
        reason = "include directives are nested too deeply";
    } else if (strcasecmp(name, "rename-command") == 0 && argc == 3) {
        add_rename(c, argv[1], argv[2]);
        return true;
    } else if (strcasecmp(name, "user") == 0 && argc >= 2) {
        reason = "ACL users are not available in this version, use requirepass";
    } else if (strcasecmp(name, "loadmodule") == 0 && argc >= 2) {
        reason = "modules are not available in this version";
    } else if (strcasecmp(name, "sentinel") == 0) {
        reason = "sentinel mode is not available in this version";
    } else if (strchr(name, '.') != NULL) {
        reason = argc < 2 ? "Module config specified without value"
                          : "modules are not available in this version";
    } else {
        reason = "Bad directive or wrong number of arguments";
    }
    snprintf(why, CONFIG_ERR_BYTES, "%s", reason);
    return false;
}

static bool load_line(struct config *c, const char *line, int depth, char why[CONFIG_ERR_BYTES],
                      char err[CONFIG_ERR_BYTES])
{
    if (line[0] == '#' || line[0] == '\0') {
        return true;
    }
    int argc;
    char **argv = config__split(line, &argc);
    if (argv == NULL) {
        snprintf(why, CONFIG_ERR_BYTES, "Unbalanced quotes in configuration line");
        return false;
    }
    const bool ok = argc == 0 || load_words(c, argc, argv, depth, why, err);
    free(argv);
    return ok;
}

static char *trim(char *line)
{
    static const char blanks[] = " \t\r\n";
    line += strspn(line, blanks);
    size_t len = strlen(line);
    while (len > 0 && strchr(blanks, line[len - 1]) != NULL) {
        len--;
    }
    line[len] = '\0';
    return line;
}

#define ERROR_TITLE "\n*** FATAL CONFIG FILE ERROR (Ashlar " ASHLAR_VERSION ") ***\n"

/* text is cut into lines in place. */
static bool load_text(struct config *c, char *text, int depth, char err[CONFIG_ERR_BYTES])
{
    int number = 0;
    for (char *next; text != NULL; text = next) {
        next = strchr(text, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        number++;
        const char *line = trim(text);
        char why[CONFIG_ERR_BYTES] = "";
        if (load_line(c, line, depth, why, err)) {
            continue;
        }
        if (why[0] != '\0') {
            snprintf(err, CONFIG_ERR_BYTES,
                     ERROR_TITLE "Reading the configuration file, at line %d\n>>> '%.*s'\n%.*s\n",
                     number, LINE_SHOWN_BYTES, line, REASON_SHOWN_BYTES, why);
        }
        return false;
    }
    return true;
}

static bool load_path(struct config *c, const char *path, int depth, char err[CONFIG_ERR_BYTES])
{
    size_t len;
    char *text = config__read_file(path, &len);
    if (text == NULL) {
        snprintf(err, CONFIG_ERR_BYTES, "Fatal error, can't open config file '%.*s': %s\n",
                 LINE_SHOWN_BYTES, path, strerror(errno));
        return false;
    }
    const bool ok = load_text(c, text, depth, err);
    free(text);
    return ok;
}

/* A name with wildcards may match nothing; one without must be there. */
static bool load_file(struct config *c, const char *path, int depth, char err[CONFIG_ERR_BYTES])
{
    if (strpbrk(path, "*?[") == NULL) {
        return load_path(c, path, depth, err);
    }
    glob_t found;
    if (glob(path, 0, NULL, &found) != 0) {
        return true;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < found.gl_pathc; i++) {
        ok = load_path(c, found.gl_pathv[i], depth, err);
    }
    globfree(&found);
    return ok;
}

/* What only shows when all is read. */
static bool check_whole(const struct config *c, char err[CONFIG_ERR_BYTES])
{
    if (c->logfile[0] != '\0') {
        const int fd = open(c->logfile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) {
            snprintf(err, CONFIG_ERR_BYTES, ERROR_TITLE "Can't open the log file: %s\n",
                     strerror(errno));
            return false;
        }
        close(fd);
    }
    const char *clustered = c->text[config_find(slice_str("cluster-enabled"))];
    const char *master = c->text[config_find(slice_str("replicaof"))];
    if (strcmp(clustered, "yes") == 0 && master[0] != '\0') {
        snprintf(err, CONFIG_ERR_BYTES,
                 ERROR_TITLE "replicaof directive not allowed in cluster mode\n");
        return false;
    }
    return true;
}

static bool load_stdin(struct config *c, char err[CONFIG_ERR_BYTES])
{
    size_t len;
    log_warning("Reading config from stdin");
    char *text = read_stream(stdin, &len);
    if (text == NULL) {
        snprintf(err, CONFIG_ERR_BYTES, "Fatal error, can't read stdin: %s\n", strerror(errno));
        return false;
    }
    const bool ok = load_text(c, text, 0, err);
    free(text);
    return ok;
}

static char *absolute_path(const char *path)
{
    char *cwd = path[0] == '/' ? NULL : realpath(".", NULL);
    struct config_text t = {0};
    if (cwd != NULL) {
        config__append_str(&t, cwd);
        config__append_str(&t, "/");
        free(cwd);
    }
    config__append_str(&t, path);
    return config__take(&t);
}

bool config_load(struct config *c, const char *file, bool from_stdin, const char *extra_lines,
                 char err[CONFIG_ERR_BYTES])
{
    bool ok = true;
    c->loading_ = true;
    c->save_loaded_ = false;
    if (file != NULL) {
        free(c->file);
        c->file = absolute_path(file); /* before dir takes the process elsewhere */
        ok = load_file(c, file, 0, err);
    }
    if (ok && from_stdin) {
        ok = load_stdin(c, err);
    }
    if (ok && extra_lines != NULL) {
        char *lines = config__strdup(extra_lines);
        ok = load_text(c, lines, 0, err);
        free(lines);
    }
    c->loading_ = false;
    return ok && check_whole(c, err);
}

/* --- command line ---------------------------------------------------------------------------- */

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] == '-';
}

/* "--name value" in one argument has more than one word. */
static bool is_name_alone(const char *arg)
{
    int words;
    char **split = config__split(arg, &words);
    free(split);
    return split != NULL && words == 1;
}

char *config_lines_of_args(int argc, char **argv, bool *from_stdin)
{
    struct config_text t = {0};
    bool wants_value = false; /* an option's name was last: what follows is a value, whatever it is */

    *from_stdin = false;
    for (int i = 0; i < argc; i++) {
        const bool last = i == argc - 1;
        if (strcmp(argv[i], "-") == 0 && (i == 0 || last)) {
            *from_stdin = true;
        } else if (is_option(argv[i]) && !wants_value) {
            config__append_str(&t, t.len > 0 ? "\n" : "");
            config__append_str(&t, argv[i] + 2);
            config__append_str(&t, " ");
            wants_value = is_name_alone(argv[i]);
            if (strcasecmp(argv[i], "--save") == 0 && (last || is_option(argv[i + 1]))) {
                config__append_str(&t, "\"\""); /* an empty list of save points */
                wants_value = false;
            } else if (strcasecmp(argv[i], "--sentinel") == 0) {
                wants_value = false; /* takes none */
            }
        } else {
            config__append_quoted(&t, argv[i], strlen(argv[i]));
            config__append_str(&t, " ");
            wants_value = false;
        }
    }
    return config__take(&t);
}

static int print_help(const char *program)
{
    fprintf(stderr,
            "Usage: %s [/path/to/ashlar.conf] [options] [-]\n"
            "       %s -            reads the configuration from stdin\n"
            "       %s -v | --version\n"
            "       %s -h | --help\n\n"
            "Options are directives of the configuration file with -- before them; they come\n"
            "after the file and stdin, so they win:\n"
            "       %s --port 7777 --shards 4\n"
            "       %s /etc/ashlar.conf --loglevel verbose --save 3600 1\n"
            "       echo 'maxmemory 128mb' | %s -\n",
            program, program, program, program, program, program, program);
    return 1;
}

static int print_version(void)
{
#ifdef ASHLAR_MIMALLOC
    const char *allocator = "mimalloc";
#else
    const char *allocator = "libc";
#endif
    printf("Ashlar server v=" ASHLAR_VERSION " redis=" REDIS_COMPAT_VERSION " malloc=%s bits=%d\n",
           allocator, (int)sizeof(void *) * 8);
    return 0;
}

int config_from_command_line(int argc, char **argv, struct config **out)
{
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "-v") == 0 || strcmp(first, "--version") == 0) {
        return print_version();
    }
    if (strcmp(first, "-h") == 0 || strcmp(first, "--help") == 0) {
        return print_help(argv[0]);
    }
    if (strcmp(first, "--test-memory") == 0 || strcmp(first, "--check-system") == 0) {
        fprintf(stderr, "%s is not available in Ashlar.\n", first);
        return 1;
    }

    const char *file = first[0] != '\0' && first[0] != '-' ? first : NULL;
    const int skip = file != NULL ? 2 : 1;
    bool from_stdin = false;
    char err[CONFIG_ERR_BYTES] = "";
    char *lines = config_lines_of_args(argc > skip ? argc - skip : 0, argv + skip, &from_stdin);
    struct config *c = config_new();
    const bool ok = config_load(c, file, from_stdin, lines, err);
    free(lines);
    if (!ok) {
        fputs(err, stderr);
        config_free(c);
        return 1;
    }
    *out = c;
    return CONFIG_GO_ON;
}

/* --- after loading --------------------------------------------------------------------------- */

void config_warnings(const struct config *c)
{
    for (int i = 0; i < config__row_count(); i++) {
        const struct config_row *row = &config__rows[i];
        const char *text = c->text[i];
        if (config__acts(row) || strcmp(text, row->initial) == 0 ||
            (row->inert != NULL && strcmp(text, row->inert) == 0)) {
            continue;
        }
        log_warning("WARNING: the directive '%s' is known but has no effect in this version",
                    row->name);
    }
}

/* Descriptors beside those of clients: files, sockets that listen, and per shard a ring, an
 * eventfd and their like. */
enum { RESERVED_FDS = 32, RESERVED_FDS_PER_SHARD = 4 };

static int64_t reserved_fds(const struct config *c)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t shards = c->shards > 0 ? c->shards : cores > 0 ? cores : 1;
    return RESERVED_FDS + RESERVED_FDS_PER_SHARD * shards;
}

int64_t config__raise_open_files(const struct config *c, int64_t clients)
{
    const rlim_t wanted = (rlim_t)(clients + reserved_fds(c));
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return clients;
    }
    if (limit.rlim_cur < wanted) {
        /* First with the hard limit, which the superuser may raise; then up to it. */
        const struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
        if (setrlimit(RLIMIT_NOFILE, &raised) != 0) {
            const struct rlimit most = {limit.rlim_max, limit.rlim_max};
            setrlimit(RLIMIT_NOFILE, &most);
        }
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return clients;
        }
    }
    const int64_t fits = (int64_t)(limit.rlim_cur < wanted ? limit.rlim_cur : wanted);
    return fits - reserved_fds(c);
}

int config_fit_open_files(struct config *c)
{
    const int64_t fits = config__raise_open_files(c, c->maxclients);
    if (fits >= c->maxclients) {
        return 0;
    }
    if (fits < 1) {
        log_warning("The limit on open files is too low for the server to start: please raise "
                    "'ulimit -n' by at least %lld. Exiting.",
                    (long long)(1 - fits));
        return -EMFILE;
    }
    log_warning("maxclients has been reduced from %d to %lld, as the system allows no more open "
                "files. If you need more clients, increase 'ulimit -n'.",
                c->maxclients, (long long)fits);
    char err[CONFIG_ERR_BYTES], digits[32];
    snprintf(digits, sizeof(digits), "%lld", (long long)fits);
    config_set(c, slice_str("maxclients"), slice_str(digits), err);
    return 0;
}
