/* A disk that does what $DISK_STATE says, for all that lies below $DISK_BELOW: loaded before the C library.
 * The first letter of that file: f (full), r (read-only), s (it does not answer until the letter changes); else it is
 * well. Each refused or delayed call adds a byte to the file $DISK_STATE.seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef long (*any)();

static any next(const char *name) { return (any)dlsym(RTLD_NEXT, name); }

static int below(const char *path) {
    const char *place = getenv("DISK_BELOW");
    return place && path && strncmp(path, place, strlen(place)) == 0;
}

static int fd_below(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long got = readlink(link, path, sizeof path - 1);
    if (got <= 0) return 0;
    path[got] = 0;
    return below(path);
}

static char state(void) {
    const char *file = getenv("DISK_STATE");
    char letter = 0;
    int fd = file ? (int)next("open")(file, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd >= 0) {
        if (next("read")(fd, &letter, 1) != 1) letter = 0;
        close(fd);
    }
    return letter;
}

static void seen(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s.seen", getenv("DISK_STATE"));
    int fd = (int)next("open")(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0) {
        next("write")(fd, ".", 1);
        close(fd);
    }
}

/* 0: go on. */
static int refused(void) {
    char now = state();
    if (now != 'f' && now != 'r' && now != 's') return 0;
    seen();
    while (state() == 's') usleep(5000);
    now = state();
    if (now == 'f') return errno = ENOSPC;
    if (now == 'r') return errno = EROFS;
    return 0;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (fd > 2 && fd_below(fd) && refused()) return -1;
    return next("write")(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (fd_below(fd) && refused()) return -1;
    return next("pwrite64")(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int fsync(int fd) {
    if (fd_below(fd) && refused()) return -1;
    return (int)next("fsync")(fd);
}

int mkdir(const char *path, mode_t mode) {
    if (below(path) && refused()) return -1;
    return (int)next("mkdir")(path, mode);
}

int rename(const char *from, const char *to) {
    if (below(to) && refused()) return -1;
    return (int)next("rename")(from, to);
}

static int opened(const char *name, const char *path, int flags, int mode) {
    if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && below(path) && refused()) return -1;
    return (int)next(name)(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = va_arg(more, int);
    va_end(more);
    return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = va_arg(more, int);
    va_end(more);
    return opened("open64", path, flags, mode);
}
