/* oom.c - see oom.h. */
#include "shards/oom.h"
#include "shards/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCORE_MAX = 1000, SCORE_CHARS = 16 };

static const char path[] = "/proc/self/oom_score_adj";
static bool changed; /* by us; then original is what it was before */
static int original;

static int failed(const char *what)
{
    int err = errno;
    log_warning("Unable to %s oom_score_adj: %s", what, strerror(err));
    return -err;
}

static int read_score(int *score)
{
    char text[SCORE_CHARS] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failed("read");
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    int rc = n < 0 ? failed("read") : 0;
    close(fd);
    *score = atoi(text);
    return rc;
}

static int write_score(int score)
{
    char text[SCORE_CHARS];
    int len = snprintf(text, sizeof text, "%d\n", score);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return failed("write");
    }
    int rc = write(fd, text, (size_t)len) < 0 ? failed("write") : 0;
    close(fd);
    return rc;
}

bool oom_score_differs(const struct config *a, const struct config *b)
{
    return a->oom_score_adj != b->oom_score_adj ||
           memcmp(a->oom_score_values, b->oom_score_values, sizeof a->oom_score_values) != 0;
}

int oom_score_apply(const struct config *config)
{
    if (config->oom_score_adj == OOM_SCORE_NO) {
        int rc = changed ? write_score(original) : 0;
        changed = false;
        return rc;
    }
    if (!changed) {
        int rc = read_score(&original);
        if (rc != 0) {
            return rc;
        }
        changed = true;
    }
    int score = config->oom_score_values[0];
    score += config->oom_score_adj == OOM_SCORE_RELATIVE ? original : 0;
    score = score > SCORE_MAX ? SCORE_MAX : score < -SCORE_MAX ? -SCORE_MAX : score;
    return write_score(score);
}
