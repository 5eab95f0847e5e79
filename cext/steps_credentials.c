/* Who the program is and what it may do: ids, groups, capabilities, seccomp. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

enum { CREDENTIAL_UID, CREDENTIAL_GID, CREDENTIAL_BOUNDING, CREDENTIAL_EFFECTIVE, CREDENTIAL_PERMITTED, CREDENTIAL_INHERITABLE, CREDENTIAL_AMBIENT };
enum { CAPABILITIES = 64, MAX_GROUPS = 65536 };

#ifndef SECCOMP_SET_MODE_FILTER
#define SECCOMP_SET_MODE_FILTER 1
#endif

static bool has(uint64_t set, int capability) {
  return (set >> capability & 1) != 0;
}

/* Capabilities that this kernel does not know cannot be read, and are not there to be dropped. */
static int drop_bounding(uint64_t keep) {
  for (int capability = 0; capability < CAPABILITIES; capability++)
    if (!has(keep, capability) && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 &&
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
      return -1;
  return 0;
}

static int parse_group(const char *text, gid_t *group) {
  char *end;
  unsigned long value;

  errno = 0;
  value = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value >= UINT32_MAX) {
    errno = EINVAL;
    return -1;
  }
  *group = (gid_t)value;
  return 0;
}

/* Does this user namespace forbid setgroups(2)? */
static bool groups_are_denied(const struct execution *execution) {
  auto_close int file = openat(execution->proc, "self/setgroups", O_RDONLY | O_CLOEXEC);
  char word[4] = "";

  return file >= 0 && read(file, word, sizeof word) == (ssize_t)sizeof word && word[0] == 'd';
}

static int set_groups(const struct execution *execution, const struct step *step, struct failure *failure) {
  uint32_t count = step->string_count;
  gid_t *groups;
  long result;

  if (count == 0 && groups_are_denied(execution))
    return 0;
  if (count > MAX_GROUPS)
    return fail_with(failure, EINVAL, "groups");
  groups = calloc(count + 1, sizeof *groups);
  if (groups == NULL)
    return fail(failure, "groups");
  for (uint32_t index = 0; index < count; index++)
    if (parse_group(text_of(step, index), &groups[index]) < 0) {
      free(groups);
      return fail(failure, text_of(step, index));
    }
  result = syscall(SYS_setgroups, count, groups);
  free(groups);
  return result < 0 ? fail(failure, "groups") : 0;
}

static int set_capabilities(const uint64_t *sets) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2];

  for (int half = 0; half < 2; half++) {
    data[half].effective = (uint32_t)(sets[CREDENTIAL_EFFECTIVE] >> (32 * half));
    data[half].permitted = (uint32_t)(sets[CREDENTIAL_PERMITTED] >> (32 * half));
    data[half].inheritable = (uint32_t)(sets[CREDENTIAL_INHERITABLE] >> (32 * half));
  }
  return (int)syscall(SYS_capset, &header, data);
}

static int set_ambient(uint64_t ambient) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
    return -1;
  for (int capability = 0; capability < CAPABILITIES; capability++)
    if (has(ambient, capability) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
      return -1;
  return 0;
}

/* Let the program's user open its pipes again by name (/dev/stdout). Files and terminals of others are not ours to give away, so this
 * is about pipes only, and a refusal is no failure: the descriptors themselves work. */
static void give_pipes_to_user(uid_t uid) {
  struct stat status;

  for (int descriptor = 0; descriptor < 3; descriptor++)
    if (fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode) && fchown(descriptor, uid, (gid_t)-1) < 0)
      continue;
}

int step_credentials(struct execution *execution, const struct step *step, struct failure *failure) {
  const uint64_t *sets = step->integers;
  uid_t uid = (uid_t)sets[CREDENTIAL_UID];
  gid_t gid = (gid_t)sets[CREDENTIAL_GID];

  if (!execution->task)
    give_pipes_to_user(uid);
  if (drop_bounding(sets[CREDENTIAL_BOUNDING]) < 0)
    return fail(failure, "bounding capabilities");
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
    return fail(failure, "capabilities");
  if (set_groups(execution, step, failure) < 0)
    return -1;
  if (syscall(SYS_setresgid, gid, gid, gid) < 0)
    return fail(failure, "gid");
  if (syscall(SYS_setresuid, uid, uid, uid) < 0)
    return fail(failure, "uid");
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0 || set_capabilities(sets) < 0)
    return fail(failure, "capabilities");
  if (set_ambient(sets[CREDENTIAL_AMBIENT]) < 0)
    return fail(failure, "ambient capabilities");
  return hide_process() < 0 ? fail(failure, "") : 0;
}

int step_no_new_privileges(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)execution;
  (void)step;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail(failure, "") : 0;
}

int step_seccomp(struct execution *execution, const struct step *step, struct failure *failure) {
  size_t count = step->strings[0].length / sizeof(struct sock_filter);
  struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)(uintptr_t)text_of(step, 0)};

  if (count == 0 || count > BPF_MAXINSNS || step->strings[0].length % sizeof(struct sock_filter) != 0)
    return fail_with(failure, EINVAL, "seccomp program");
  if (prepare_exec(execution) < 0)
    return fail(failure, "");
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned)step->integers[0], &program) < 0 ? fail(failure, "") : 0;
}
