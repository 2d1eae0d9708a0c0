/* A preloaded library that stands between a process and its kernel: clocks told otherwise, storage calls failed or slowed.
 *
 * LD_PRELOAD it with K12EDGE_SHIM=FILE, a control file that sim/preload/control.py writes while the process runs. Clock
 * values stand twice; `bank` says which of the two counts, so that a step of several clocks is one instant. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define RULES 8
enum { SYNC = 1, WRITE = 2, OPEN_WRITE = 4, TRUNCATE = 8, NAME = 16, OPEN = 32, READ_WALL = 64, ADJTIMEX = 128, ATTRIBUTE = 256 };

struct clocks {
    int64_t wall_ns, boot_ns, synchronised, maxerror_us;
    char boot_id_file[224];
};
struct rule {
    int64_t calls, skip, times, error, delay_us;
    _Atomic int64_t seen, hit;
    char path[200];
};
struct control {
    _Atomic int64_t bank;
    int64_t reserved[7];
    struct clocks clocks[2];
    struct rule rules[RULES];
};
_Static_assert(sizeof(struct control) == 64 + 2 * 256 + RULES * 256, "control.py packs it so");

static struct control *control;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }
#define REAL(name) ({ static __typeof__(&name) found; if (!found) found = next(#name); found; })

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("K12EDGE_SHIM");
    if (!name) return;
    int fd = syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *found = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (found != MAP_FAILED) control = found;
}

/* --- faults of storage ------------------------------------------------------------------------------------------- */

/* 0, or the errno that this call shall fail with. Waits where a rule says so. */
static int fault(int call, const char *path) {
    if (!control) return 0;
    for (int i = 0; i < RULES; i++) {
        struct rule *rule = &control->rules[i];
        if (!(rule->calls & call) || !strstr(path, rule->path)) continue;
        int64_t number = atomic_fetch_add(&rule->seen, 1);
        if (number < rule->skip || number >= rule->skip + rule->times) continue;
        atomic_fetch_add(&rule->hit, 1);
        if (rule->delay_us) {
            struct timespec pause = {rule->delay_us / 1000000, rule->delay_us % 1000000 * 1000};
            syscall(SYS_nanosleep, &pause, NULL);
        }
        if (rule->error) return rule->error;
    }
    return 0;
}

static int any(int call) {
    if (!control) return 0;
    for (int i = 0; i < RULES; i++)
        if (control->rules[i].calls & call) return 1;
    return 0;
}

static int fault_of_fd(int call, int fd) {
    if (!any(call)) return 0;
    char name[64], path[512];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fault(call, path);
}

#define FAIL(expression) do { int failed = (expression); if (failed) { errno = failed; return -1; } } while (0)

int fsync(int fd) { FAIL(fault_of_fd(SYNC, fd)); return REAL(fsync)(fd); }
int fdatasync(int fd) { FAIL(fault_of_fd(SYNC, fd)); return REAL(fdatasync)(fd); }
ssize_t write(int fd, const void *data, size_t size) { FAIL(fault_of_fd(WRITE, fd)); return REAL(write)(fd, data, size); }
ssize_t writev(int fd, const struct iovec *parts, int count) { FAIL(fault_of_fd(WRITE, fd)); return REAL(writev)(fd, parts, count); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { FAIL(fault_of_fd(WRITE, fd)); return REAL(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { FAIL(fault_of_fd(WRITE, fd)); return REAL(pwrite64)(fd, data, size, at); }
int ftruncate(int fd, off_t size) { FAIL(fault_of_fd(TRUNCATE, fd)); return REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { FAIL(fault_of_fd(TRUNCATE, fd)); return REAL(ftruncate64)(fd, size); }
int unlink(const char *path) { FAIL(fault(NAME, path)); return REAL(unlink)(path); }
int rename(const char *path, const char *to) { FAIL(fault(NAME, path)); return REAL(rename)(path, to); }
int mkdir(const char *path, mode_t mode) { FAIL(fault(NAME, path)); return REAL(mkdir)(path, mode); }

int removexattr(const char *path, const char *name) { FAIL(fault(ATTRIBUTE, path)); return REAL(removexattr)(path, name); }

static const char *redirected(const char *path) {
    if (control && !strcmp(path, "/proc/sys/kernel/random/boot_id")) {
        const char *mine = control->clocks[control->bank & 1].boot_id_file;
        if (*mine) return mine;
    }
    return path;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    path = redirected(path);
    if (flags & (O_WRONLY | O_RDWR | O_CREAT)) FAIL(fault(OPEN_WRITE, path));
    FAIL(fault(OPEN, path));
    return syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return opened(folder, path, flags, mode); }

/* --- clocks ------------------------------------------------------------------------------------------------------ */

static void shift(struct timespec *time, int64_t by_ns) {
    int64_t whole = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + by_ns;
    time->tv_sec = whole / 1000000000;
    time->tv_nsec = whole % 1000000000;
    if (time->tv_nsec < 0) { time->tv_nsec += 1000000000; time->tv_sec--; }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (clock == CLOCK_REALTIME) fault(READ_WALL, "");
    int outcome = REAL(clock_gettime)(clock, time);
    if (outcome || !control) return outcome;
    const struct clocks *mine = &control->clocks[control->bank & 1];
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) shift(time, mine->wall_ns);
    if (clock == CLOCK_BOOTTIME) shift(time, mine->boot_ns);
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    time->tv_sec = found.tv_sec;
    time->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (place) *place = found.tv_sec;
    return found.tv_sec;
}

int adjtimex(struct timex *asked) {
    fault(ADJTIMEX, "");
    if (!control) return REAL(adjtimex)(asked);
    const struct clocks *mine = &control->clocks[control->bank & 1];
    asked->maxerror = mine->maxerror_us;
    asked->status = mine->synchronised ? STA_PLL : STA_PLL | STA_UNSYNC;
    return mine->synchronised ? TIME_OK : TIME_ERROR;
}
int ntp_adjtime(struct timex *asked) { return adjtimex(asked); }
int clock_adjtime(clockid_t clock, struct timex *asked) { (void)clock; return adjtimex(asked); }
