/* Records what a program writes to its journal and when it syncs that or a picture, so that a test can make the disk
 * of a power cut: preloaded, it appends to the file that USO_TRACE names.
 *
 * An entry is: kind (1 byte: w, t or s), length of the path (4), path, offset (8), length (4), data;
 * numbers in the order of bytes of the machine. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace = -2;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_ftruncate64)(int, off64_t);

static void find_real(void) {
    if (real_write) return;
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_ftruncate64 = dlsym(RTLD_NEXT, "ftruncate64");
    real_write = dlsym(RTLD_NEXT, "write");
}

/* Whether a file is one of the journal; gives its path. */
static int is_journal(int fd, char *path, size_t size) {
    char link[64];
    *path = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && (!strcmp(name, "/journal.db") || !strcmp(name, "/journal.db-wal"));
}

static void note(char kind, const char *path, uint64_t offset, const void *data, uint32_t length) {
    pthread_mutex_lock(&lock);
    if (trace == -2) {
        const char *name = getenv("USO_TRACE");
        trace = name ? open(name, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    }
    if (trace >= 0) {
        uint32_t path_length = strlen(path);
        size_t size = 1 + 4 + path_length + 8 + 4 + (data ? length : 0);
        char *entry = malloc(size), *at = entry;
        *at++ = kind;
        memcpy(at, &path_length, 4), at += 4;
        memcpy(at, path, path_length), at += path_length;
        memcpy(at, &offset, 8), at += 8;
        memcpy(at, &length, 4), at += 4;
        if (data) memcpy(at, data, length);
        if (real_write(trace, entry, size) != (ssize_t)size) abort();
        free(entry);
    }
    pthread_mutex_unlock(&lock);
}

ssize_t write(int fd, const void *data, size_t length) {
    char path[4096];
    find_real();
    if (fd == trace || !is_journal(fd, path, sizeof path)) return real_write(fd, data, length);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = real_write(fd, data, length);
    if (written > 0) note('w', path, offset, data, written);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    char path[4096];
    find_real();
    ssize_t written = real_pwrite(fd, data, length, offset);
    if (written > 0 && is_journal(fd, path, sizeof path)) note('w', path, offset, data, written);
    return written;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    char path[4096];
    find_real();
    ssize_t written = real_pwrite64(fd, data, length, offset);
    if (written > 0 && is_journal(fd, path, sizeof path)) note('w', path, offset, data, written);
    return written;
}

static int synced(int fd, int (*sync)(int)) {
    char path[4096];
    int outcome = sync(fd);
    int is_noted = is_journal(fd, path, sizeof path) || strstr(path, "/pictures");
    if (!outcome && is_noted) note('s', path, 0, 0, 0);
    return outcome;
}

int fsync(int fd) {
    find_real();
    return synced(fd, real_fsync);
}

int fdatasync(int fd) {
    find_real();
    return synced(fd, real_fdatasync);
}

int ftruncate(int fd, off_t length) {
    char path[4096];
    find_real();
    int outcome = real_ftruncate(fd, length);
    if (!outcome && is_journal(fd, path, sizeof path)) note('t', path, length, 0, 0);
    return outcome;
}

int ftruncate64(int fd, off64_t length) {
    char path[4096];
    find_real();
    int outcome = real_ftruncate64(fd, length);
    if (!outcome && is_journal(fd, path, sizeof path)) note('t', path, length, 0, 0);
    return outcome;
}
