/* The plan: what Python decided and C executes. The only header shared by all parts of the core.
 *
 * A plan is one flat block of bytes, all integers little endian:
 *
 *   header  "OCIRPLAN" | u32 version | u32 total length | u32 number of steps | u32 zero
 *   step    u32 kind | u32 zero | u32 number of integers | u32 number of strings
 *           u64 integers[] | strings[]: u32 length, bytes, one NUL, zeros up to the next multiple of 8
 *
 * plan_decode checks every length before it is used, because a plan is data like any other, even from our own Python.
 */
#ifndef OCIRUN_PLAN_H
#define OCIRUN_PLAN_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_MAGIC "OCIRPLAN"
#define PLAN_VERSION 1u
#define PLAN_MAX_BYTES (64u << 20)
#define PLAN_MAX_STEPS 262144u

#define must_check __attribute__((warn_unused_result))

/* Kept in step with ocirun/runtime/steps.py; tests/unit/runtime/test_steps.py compares the two. */
enum step_kind {
  STEP_MONITOR = 1,
  STEP_AFTER_EXIT_REMOVE = 2,
  STEP_AFTER_EXIT_DISCARD = 3,
  STEP_AFTER_EXIT_VOLUME = 4,

  STEP_JOIN_NAMESPACE = 10,
  STEP_JOIN_PROCESS = 11,
  STEP_CLONE = 12,
  STEP_ID_MAP_WRITE = 13,
  STEP_ID_MAP_HELPER = 14,
  STEP_DENY_SETGROUPS = 15,
  STEP_CGROUP_ENTER = 16,

  STEP_BECOME = 20,
  STEP_PROPAGATION = 21,
  STEP_OVERLAY = 22,
  STEP_OPEN_ROOT = 23,
  STEP_MOUNT = 24,
  STEP_BIND = 25,
  STEP_MASK = 27,
  STEP_READONLY_PATH = 28,
  STEP_MAKE_SYMLINK = 29,
  STEP_MAKE_NODE = 30,
  STEP_BIND_DEVICE = 31,
  STEP_MAKE_DIRECTORY = 32,
  STEP_CONSOLE = 33,
  STEP_POPULATE = 34,
  STEP_PREPARE_DIRECTORY = 35,
  STEP_PIVOT = 36,
  STEP_READONLY_ROOT = 37,
  STEP_LOOPBACK = 38,

  STEP_HOSTNAME = 40,
  STEP_DOMAINNAME = 41,
  STEP_SYSCTL = 42,
  STEP_OOM_SCORE = 43,
  STEP_RLIMIT = 44,
  STEP_UMASK = 45,
  STEP_SESSION_KEYRING = 46,
  STEP_WORKING_DIRECTORY = 47,
  STEP_CREDENTIALS = 48,
  STEP_EXEC_LABEL = 49,
  STEP_NO_NEW_PRIVILEGES = 50,
  STEP_SECCOMP = 51,
  STEP_PARENT_DEATH_SIGNAL = 52,
  STEP_COMMAND = 54,

  STEP_UNTAR = 60,
  STEP_TAR_CHANGES = 61,
  STEP_LIST_CHANGES = 62,
  STEP_REMOVE_TREE = 63,
};

struct plan_string {
  const char *bytes; /* NUL-terminated; may hold NULs inside when it is a program */
  uint32_t length;
};

struct step {
  uint32_t kind;
  uint32_t integer_count;
  uint32_t string_count;
  const uint64_t *integers;
  struct plan_string *strings;
};

struct plan {
  uint32_t step_count;
  struct step *steps;
  void *storage; /* one allocation that holds steps and strings */
};

/* Where and why something failed. Filled by the function that returns -1, left alone on success. */
struct failure {
  int32_t step; /* index into the plan, -1 before the first step */
  int32_t error; /* errno */
  char path[PATH_MAX]; /* the object, "" when there is none */
};

/* Decode `length` bytes, which must stay in memory as long as the plan. 0, or -1 with failure->error EINVAL, E2BIG or ENOMEM. */
must_check int plan_decode(const void *bytes, size_t length, struct plan *plan, struct failure *failure);
void plan_free(struct plan *plan);

/* Note a failure with the current errno; always returns -1, so that `return fail(failure, path);` reads well. */
int fail(struct failure *failure, const char *path);
/* The same with an errno of our own. */
int fail_with(struct failure *failure, int error, const char *path);

/* The file work that tasks do (tree_*.c, untar.c). All of it runs inside the user namespace, single-threaded, with descriptors and
 * strings from the step. Each returns 0, or -1 with the failure filled. */
must_check int step_untar(const struct step *step, struct failure *failure);
must_check int step_tar_changes(const struct step *step, struct failure *failure);
must_check int step_list_changes(const struct step *step, struct failure *failure);
must_check int step_remove_tree(const struct step *step, struct failure *failure);
/* Copy what is below directory descriptor `from` to `to` when `to` is empty: contents, owners, modes, times, links, xattrs. */
must_check int populate_tree(int from, int to, struct failure *failure);
/* Remove `path` and all below it (no symlink is followed); success also when it did not exist. */
must_check int remove_tree(const char *path, struct failure *failure);

#endif
