/* Records the calls of a program that make folders, sync files and connect: preloaded,
 * it appends a line for each to the file that USO_TRACE names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(const char *call, const char *path) {
    const char *name = getenv("USO_TRACE");
    char line[2 * PATH_MAX];
    int length = snprintf(line, sizeof line, path ? "%s %s\n" : "%s\n", call, path);
    int trace = name ? open(name, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (trace < 0 || write(trace, line, length) != length) abort();
    close(trace);
}

static void note_path(const char *call, const char *path) {
    char whole[PATH_MAX];
    note(call, realpath(path, whole) ? whole : path);
}

static void note_file(const char *call, int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    note(call, path);
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    int done = real(fd);
    if (done == 0) note_file("sync", fd);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    int done = real(path, mode);
    if (done == 0) note_path("mkdir", path);
    return done;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (address->sa_family == AF_INET) note("connect", NULL);
    return real(fd, address, length);
}
