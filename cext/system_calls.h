/* System calls newer than the oldest C library that ocirun is built with, and descriptors that close themselves.
 * Every function returns what the kernel does: a value, or -1 with errno. */
#ifndef OCIRUN_SYSTEM_CALLS_H
#define OCIRUN_SYSTEM_CALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan.h"

/* Numbers of system calls are the same on all machines from 424 on. */
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1u
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC 02000000u /* O_CLOEXEC */
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

enum {
  ATTRIBUTE_READ_ONLY = 0x1,
  ATTRIBUTE_NOSUID = 0x2,
  ATTRIBUTE_NODEV = 0x4,
  ATTRIBUTE_NOEXEC = 0x8,
  ATTRIBUTE_NOATIME = 0x10,
  ATTRIBUTE_STRICTATIME = 0x20,
  ATTRIBUTE_NODIRATIME = 0x80,
  ATTRIBUTE_NOSYMFOLLOW = 0x200000
};

enum { RESOLVE_WITHOUT_MOUNTS = 0x1, RESOLVE_WITHOUT_MAGIC = 0x2, RESOLVE_WITHOUT_LINKS = 0x4, RESOLVE_BELOW = 0x8, RESOLVE_INSIDE = 0x10 };

enum { SETTING_FLAG = 0, SETTING_STRING = 1, SETTING_CREATE = 6 };

enum { CLOSE_RANGE_ON_EXEC = 4 };

/* struct mount_attr of mount_setattr(2) */
struct mount_attributes {
  uint64_t set;
  uint64_t clear;
  uint64_t propagation;
  uint64_t user_namespace;
};

/* struct clone_args of clone3(2), as far as it is used */
struct clone_arguments {
  uint64_t flags;
  uint64_t pidfd;
  uint64_t child_tid;
  uint64_t parent_tid;
  uint64_t exit_signal;
  uint64_t stack;
  uint64_t stack_size;
  uint64_t tls;
};

/* openat2(2) with O_CLOEXEC; repeats while the kernel says EAGAIN, which is how it refuses a race with a rename. */
must_check int open_resolved(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
/* A path as the container sees it: links and ".." end at `root`, and magic links (/proc/self/fd/N) are refused with ELOOP. */
must_check int open_in_root(int root, const char *path, uint64_t flags, uint64_t mode);

must_check int open_tree_at(int directory, const char *path, unsigned flags);
must_check int move_mount_onto(int tree, int target);
must_check int open_filesystem(const char *type);
must_check int configure_filesystem(int filesystem, unsigned command, const char *key, const char *value);
must_check int make_mount(int filesystem, unsigned attributes);
/* `path` "" means `directory` itself. */
must_check int set_mount_attributes(int directory, const char *path, unsigned flags, const struct mount_attributes *attributes);

/* fork(2) with namespace flags; falls back to clone(2) where clone3 is filtered. Returns as fork does. With CLONE_PARENT the child is
 * the caller's sibling. CLONE_NEWTIME needs clone3. */
must_check pid_t fork_with(uint64_t flags);
must_check int open_process(pid_t pid);
must_check int close_descriptors(unsigned first, unsigned last, unsigned flags);
must_check int send_signal(int process, int signal);

/* Is `descriptor` on a file system with this magic number? */
must_check int is_on(int descriptor, uint64_t magic);
/* Is `descriptor` a character device with this number? errno is ENODEV when it is not. */
must_check int check_character_device(int descriptor, unsigned major_number, unsigned minor_number);
/* Write all of `text` in one write(2), as files of /proc want it. */
must_check int write_once(int descriptor, const char *text, size_t length);
/* Write all bytes, in as many write(2)s as it takes; 0, or -1 with errno. */
must_check int write_all(int descriptor, const void *bytes, size_t length);

void close_quietly(int *descriptor);
/* Closes its descriptor at the end of the block; errno survives. */
#define auto_close __attribute__((cleanup(close_quietly)))
/* Take a descriptor out of an auto_close variable, to return it. */
must_check int take_descriptor(int *descriptor);

#endif
