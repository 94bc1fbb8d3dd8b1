/* ab_cpu.h - the CPU time of server processes on this host.
 *
 * A server tells its process in INFO (process_id, uptime_in_seconds). It runs here when the
 * connection has the same address at both ends (or is a unix socket), a process of that id exists,
 * and that process is as old as the server says: containers have process ids of their own.
 *
 * The time is user and system time of all threads, those included that have ended.
 *
 * Thread: main thread only.
 */
#ifndef ASHLAR_BENCH_AB_CPU_H
#define ASHLAR_BENCH_AB_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { AB_CPU_PROCESSES_MAX = 1024 };

struct ab_cpu {
    pid_t pid[AB_CPU_PROCESSES_MAX];
    int count;
    bool incomplete; /* a server runs elsewhere: its time is not known */
};

/* Whether fd, a connected socket, leads to this host. */
bool ab_cpu_is_local(int fd);
/* Adds a process unless it is there already; uptime_s is the age it should have. */
void ab_cpu_add(struct ab_cpu *c, pid_t pid, uint64_t uptime_s);
/* Sum over the processes in ns, or -1 when one of them is not known or is gone. */
int64_t ab_cpu_ns(const struct ab_cpu *c);
/* Our own, all threads. */
int64_t ab_cpu_own_ns(void);

#endif
