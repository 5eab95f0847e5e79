/* Thin wrappers: system_calls.h says what each promises. */
#include "system_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
  CALL_PIDFD_SEND_SIGNAL = 424,
  CALL_OPEN_TREE = 428,
  CALL_MOVE_MOUNT = 429,
  CALL_FSOPEN = 430,
  CALL_FSCONFIG = 431,
  CALL_FSMOUNT = 432,
  CALL_PIDFD_OPEN = 434,
  CALL_CLONE3 = 435,
  CALL_CLOSE_RANGE = 436,
  CALL_OPENAT2 = 437,
  CALL_MOUNT_SETATTR = 442
};

enum { MOVE_FROM_DESCRIPTOR = 0x4, MOVE_TO_DESCRIPTOR = 0x40, CLOSE_MOUNT_ON_EXEC = 1, CLOSE_FILESYSTEM_ON_EXEC = 1 };

/* A hostile renamer can make openat2 say EAGAIN for as long as it likes; past this many tries it has won, and the step fails. */
enum { RESOLVE_TRIES = 128 };

int open_resolved(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {flags | O_CLOEXEC, mode, resolve};
  long result = -1;

  for (int tries = 0; tries < RESOLVE_TRIES; tries++) {
    result = syscall(CALL_OPENAT2, directory, path, &how, sizeof how);
    if (result >= 0 || (errno != EAGAIN && errno != EINTR))
      break;
  }
  return (int)result;
}

int open_in_root(int root, const char *path, uint64_t flags, uint64_t mode) {
  return open_resolved(root, path, flags, mode, RESOLVE_INSIDE | RESOLVE_WITHOUT_MAGIC);
}

int open_tree_at(int directory, const char *path, unsigned flags) {
  if (path[0] == '\0')
    flags |= AT_EMPTY_PATH;
  return (int)syscall(CALL_OPEN_TREE, directory, path, flags | OPEN_TREE_CLOEXEC);
}

int move_mount_onto(int tree, int target) {
  return (int)syscall(CALL_MOVE_MOUNT, tree, "", target, "", MOVE_FROM_DESCRIPTOR | MOVE_TO_DESCRIPTOR);
}

int open_filesystem(const char *type) {
  return (int)syscall(CALL_FSOPEN, type, CLOSE_FILESYSTEM_ON_EXEC);
}

int configure_filesystem(int filesystem, unsigned command, const char *key, const char *value) {
  return (int)syscall(CALL_FSCONFIG, filesystem, command, key, value, 0);
}

int make_mount(int filesystem, unsigned attributes) {
  return (int)syscall(CALL_FSMOUNT, filesystem, CLOSE_MOUNT_ON_EXEC, attributes);
}

int set_mount_attributes(int directory, const char *path, unsigned flags, const struct mount_attributes *attributes) {
  if (path[0] == '\0')
    flags |= AT_EMPTY_PATH;
  return (int)syscall(CALL_MOUNT_SETATTR, directory, path, flags, attributes, sizeof *attributes);
}

pid_t fork_with(uint64_t flags) {
  /* A sibling ends with the signal of the caller itself; the kernel refuses another one. */
  uint64_t exit_signal = (flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;
  struct clone_arguments arguments = {.flags = flags, .exit_signal = exit_signal};
  long pid = syscall(CALL_CLONE3, &arguments, sizeof arguments);

  if (pid < 0 && errno == ENOSYS && (flags & CLONE_NEWTIME) == 0)
#if defined(__s390x__)
    pid = syscall(SYS_clone, 0, flags | exit_signal, 0, 0, 0);
#else
    pid = syscall(SYS_clone, flags | exit_signal, 0, 0, 0, 0);
#endif
  return (pid_t)pid;
}

int open_process(pid_t pid) {
  return (int)syscall(CALL_PIDFD_OPEN, pid, 0);
}

int close_descriptors(unsigned first, unsigned last, unsigned flags) {
  return (int)syscall(CALL_CLOSE_RANGE, first, last, flags);
}

int send_signal(int process, int signal) {
  return (int)syscall(CALL_PIDFD_SEND_SIGNAL, process, signal, NULL, 0);
}

int is_on(int descriptor, uint64_t magic) {
  struct statfs information;

  return fstatfs(descriptor, &information) == 0 && (uint64_t)information.f_type == magic;
}

int check_character_device(int descriptor, unsigned major_number, unsigned minor_number) {
  struct stat status;

  if (fstat(descriptor, &status) < 0)
    return -1;
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(major_number, minor_number)) {
    errno = ENODEV;
    return -1;
  }
  return 0;
}

int write_once(int descriptor, const char *text, size_t length) {
  ssize_t written;

  do
    written = write(descriptor, text, length);
  while (written < 0 && errno == EINTR);
  if (written < 0)
    return -1;
  if ((size_t)written != length) {
    errno = EIO;
    return -1;
  }
  return 0;
}

int write_all(int descriptor, const void *bytes, size_t length) {
  const char *next = bytes;

  while (length > 0) {
    ssize_t written = write(descriptor, next, length);

    if (written < 0) {
      if (errno == EINTR)
        continue;
      return -1;
    }
    next += written;
    length -= (size_t)written;
  }
  return 0;
}

void close_quietly(int *descriptor) {
  int error = errno;

  if (*descriptor >= 0)
    close(*descriptor);
  *descriptor = -1;
  errno = error;
}

int take_descriptor(int *descriptor) {
  int result = *descriptor;

  *descriptor = -1;
  return result;
}
