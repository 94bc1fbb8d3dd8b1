/* The log: format, levels, and a logfile that is moved away. */
#include "shards/clock.h"
#include "shards/config_table.h"
#include "shards/log.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

static char path[64];
static uint64_t now_ns = 1;

static uint64_t fake_mono_ns(void)
{
    return now_ns;
}

static void make_path(void)
{
    snprintf(path, sizeof(path), "/tmp/ashlar-log-%d", (int)getpid());
    unlink(path);
}

static void remove_path(void)
{
    unlink(path);
}

static char *content(void)
{
    size_t len;
    char *text = config__read_file(path, &len);
    cr_assert_not_null(text);
    return text;
}

Test(log, lines, .init = make_path, .fini = remove_path)
{
    cr_assert_eq(log_open(path, LOG_LEVEL_NOTICE, false, "x", LOG_LOCAL0), 0);
    log_verbose("not shown");
    log_notice("answer %d", 42);
    log_set_level(LOG_LEVEL_WARNING);
    log_notice("not shown");
    log_warning("%2000d", 1);
    log_raw("raw\n");
    char *text = content();
    regex_t re;
    cr_assert_eq(regcomp(&re,
                         "^[0-9]+:M [0-9]{2} [A-Z][a-z]{2} [0-9]{4} "
                         "[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} \\* answer 42\n"
                         "[0-9]+:M [^\n]* # {990,}\nraw\n$",
                         REG_EXTENDED | REG_NOSUB),
                 0);
    cr_assert_eq(regexec(&re, text, 0, NULL, 0), 0, "%s", text);
    regfree(&re);
    free(text);
}

Test(log, cannot_open)
{
    cr_assert_eq(log_open("/nonexistent/log", LOG_LEVEL_NOTICE, false, "x", LOG_LOCAL0), -ENOENT);
    cr_assert_eq(log_fd(), STDOUT_FILENO);
}

Test(log, follows_rotation, .init = make_path, .fini = remove_path)
{
    clock_source.mono_ns = fake_mono_ns;
    cr_assert_eq(log_open(path, LOG_LEVEL_NOTICE, false, "x", LOG_LOCAL0), 0);
    now_ns += 2000000000u;
    log_notice("one");
    cr_assert_eq(unlink(path), 0);
    log_notice("lost: looked at less than a second ago");
    now_ns += 2000000000u;
    log_notice("two");
    char *text = content();
    cr_assert(strstr(text, "two") != NULL);
    cr_assert(strstr(text, "one") == NULL);
    free(text);
}

Test(clock, ticks)
{
    clock_init();
    cr_assert_gt(clock_ticks_per_us, 0.5);
    const uint64_t a = clock_mono_ns();
    cr_assert_geq(clock_mono_ns(), a);
    cr_assert_gt(clock_unix_ms(), 1600000000000);
}
