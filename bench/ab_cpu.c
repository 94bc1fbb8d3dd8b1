/* ab_cpu.c - see ab_cpu.h. */
#include "bench/ab_cpu.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AGE_TOLERANCE_S = 3 };

/* Reads fields 14 (utime), 15 (stime) and 22 (starttime) of /proc/<pid>/stat, in ticks. */
static bool read_stat(pid_t pid, uint64_t *cpu_ticks, uint64_t *start_ticks)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f) {
        return false;
    }
    bool ok = fgets(line, sizeof line, f);
    fclose(f);
    char *p = ok ? strrchr(line, ')') : NULL; /* the name may contain blanks */
    unsigned long long user, system, start;
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d"
                            " %*d %*d %llu", &user, &system, &start) != 3) {
        return false;
    }
    *cpu_ticks = user + system;
    *start_ticks = start;
    return true;
}

bool ab_cpu_is_local(int fd)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_len = sizeof here, there_len = sizeof there;

    if (getsockname(fd, (struct sockaddr *)&here, &here_len) != 0 ||
        getpeername(fd, (struct sockaddr *)&there, &there_len) != 0) {
        return false;
    }
    if (here.ss_family == AF_INET) {
        return ((struct sockaddr_in *)&here)->sin_addr.s_addr ==
               ((struct sockaddr_in *)&there)->sin_addr.s_addr;
    }
    if (here.ss_family == AF_INET6) {
        return memcmp(&((struct sockaddr_in6 *)&here)->sin6_addr,
                      &((struct sockaddr_in6 *)&there)->sin6_addr, sizeof(struct in6_addr)) == 0;
    }
    return here.ss_family == AF_UNIX;
}

void ab_cpu_add(struct ab_cpu *c, pid_t pid, uint64_t uptime_s)
{
    uint64_t cpu, start;
    struct timespec now;

    for (int i = 0; i < c->count; i++) {
        if (c->pid[i] == pid) {
            return;
        }
    }
    if (pid <= 0 || c->count == AB_CPU_PROCESSES_MAX || !read_stat(pid, &cpu, &start) ||
        clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
        c->incomplete = true;
        return;
    }
    int64_t age = (int64_t)now.tv_sec - (int64_t)(start / (uint64_t)sysconf(_SC_CLK_TCK));
    if (llabs(age - (int64_t)uptime_s) > AGE_TOLERANCE_S) {
        c->incomplete = true;
        return;
    }
    c->pid[c->count++] = pid;
}

/* The process' CPU clock counts in ns; where the kernel does not let us, /proc in ticks. */
static int64_t process_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec ts;
    uint64_t ticks, start;

    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &ts) == 0) {
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    }
    if (read_stat(pid, &ticks, &start)) {
        return (int64_t)(ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)));
    }
    return -1;
}

int64_t ab_cpu_ns(const struct ab_cpu *c)
{
    int64_t sum = 0;
    if (c->incomplete || c->count == 0) {
        return -1;
    }
    for (int i = 0; i < c->count; i++) {
        int64_t ns = process_ns(c->pid[i]);
        if (ns < 0) {
            return -1;
        }
        sum += ns;
    }
    return sum;
}

int64_t ab_cpu_own_ns(void)
{
    struct timespec ts;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) != 0) {
        return -1;
    }
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
