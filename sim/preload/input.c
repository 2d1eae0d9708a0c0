/* A preloaded library that gives a FIFO the manners of an input device (evdev), where a machine has no /dev/uinput.
 *
 * Beside the FIFO lies PATH.device, which sim/emulators/keyboard.py writes: the keys that the device has, as the
 * kernel's bitmap of KEY_CNT bits, and after them the clock that its reader asked for. What is answered is what
 * drivers/input/evdev.c answers: questions about the device, the grab (one holder, freed with its descriptor), the
 * clock, the mask; a read of a device that was unplugged is ENODEV, whatever lay unread. The records themselves, their
 * order and their waiting are the FIFO's own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES (KEY_CNT / 8)
#define REAL(name) ({ static __typeof__(&name) found; if (!found) found = dlsym(RTLD_NEXT, #name); found; })

/* The descriptor of PATH.device, or -1 where fd is no emulated input device. */
static int device_of(int fd, int flags) {
    struct stat found;
    char name[64], path[PATH_MAX + 16];
    if (fstat(fd, &found) || !S_ISFIFO(found.st_mode)) return -1;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, PATH_MAX);
    if (length < 0) return -1;
    path[length] = 0;
    /* Unplugged, its name is gone; its reader may still let go of it. */
    char *deleted = strstr(path, " (deleted)");
    if (deleted) *deleted = 0;
    strcat(path, ".device");
    return open(path, flags | O_CLOEXEC);
}

static int gone(int fd) {
    struct pollfd asked = {fd, POLLIN, 0};
    return poll(&asked, 1, 0) > 0 && (asked.revents & POLLHUP);
}

static int answer(int fd, int device, unsigned long request, void *place) {
    unsigned number = _IOC_NR(request), size = _IOC_SIZE(request);
    unsigned char bits[KEY_BYTES] = {0};
    if (gone(fd)) { errno = ENODEV; return -1; }
    if (request == EVIOCGVERSION) { *(int *)place = EV_VERSION; return 0; }
    if (request == EVIOCGID) { *(struct input_id *)place = (struct input_id){BUS_USB, 0xffff, 0x35, 1}; return 0; }
    if (request == EVIOCGEFFECTS) { *(int *)place = 0; return 0; }
    if (number == _IOC_NR(EVIOCGNAME(0))) { strncpy(place, "emulated reader", size); return 16; }
    if (number == _IOC_NR(EVIOCGPHYS(0)) || number == _IOC_NR(EVIOCGUNIQ(0))) { errno = ENOENT; return -1; }
    if (number >= 0x20 && number < 0x20 + EV_CNT) {
        if (number == 0x20) bits[0] = 1 << EV_SYN | 1 << EV_KEY | 1 << EV_MSC;
        if (number == 0x20 + EV_KEY && pread(device, bits, KEY_BYTES, 0) != KEY_BYTES) return -1;
        size = size < KEY_BYTES ? size : KEY_BYTES;
        memcpy(place, bits, size);
        return size;
    }
    if (request == EVIOCSCLOCKID) return pwrite(device, place, sizeof(int), KEY_BYTES) == sizeof(int) ? 0 : -1;
    if (request == EVIOCSMASK) return 0;
    if (request == EVIOCGRAB) {
        /* One holder by the first lock; the second only shows it, to who asks without taking it (F_OFD_GETLK). */
        struct flock mark = {.l_type = place ? F_RDLCK : F_UNLCK, .l_whence = SEEK_SET};
        if (!place) return flock(fd, LOCK_UN) | fcntl(fd, F_OFD_SETLK, &mark);
        if (!flock(fd, LOCK_EX | LOCK_NB)) {
            /* A fresh descriptor's buffer is empty: what another one left unread went with it. */
            char left[4096];
            while (REAL(read)(fd, left, sizeof left) > 0) {}
            return fcntl(fd, F_OFD_SETLK, &mark);
        }
        errno = EBUSY;
        return -1;
    }
    errno = EINVAL;
    return -1;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *place = va_arg(rest, void *);
    va_end(rest);
    int device = _IOC_TYPE(request) == 'E' ? device_of(fd, request == EVIOCSCLOCKID ? O_RDWR : O_RDONLY) : -1;
    if (device < 0) return REAL(ioctl)(fd, request, place);
    int outcome = answer(fd, device, request, place), error = errno;
    close(device);
    errno = error;
    return outcome;
}

ssize_t read(int fd, void *data, size_t size) {
    if (size % sizeof(struct input_event) == 0 && size) {
        int device = device_of(fd, O_RDONLY);
        if (device >= 0) {
            close(device);
            if (gone(fd)) { errno = ENODEV; return -1; }
        }
    }
    return REAL(read)(fd, data, size);
}
