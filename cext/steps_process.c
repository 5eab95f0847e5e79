/* The process that will be the program: names, limits, kernel parameters, working directory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "execution.h"
#include "launch.h"
#include "system_calls.h"

enum { KEYCTL_JOIN = 1 }; /* KEYCTL_JOIN_SESSION_KEYRING of keyctl(2) */

int step_hostname(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)execution;
  return sethostname(text_of(step, 0), step->strings[0].length) < 0 ? fail(failure, text_of(step, 0)) : 0;
}

int step_domainname(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)execution;
  return setdomainname(text_of(step, 0), step->strings[0].length) < 0 ? fail(failure, text_of(step, 0)) : 0;
}

/* The path of a sysctl below /proc/sys. As sysctl(8) has it, the first separator of a key tells which of '.' and '/' separates; the
 * other one then stands for itself ("net.ipv4.conf.eth0/1.forwarding" is about the interface eth0.1). */
static void sysctl_path(const char *key, char path[PATH_MAX]) {
  const char *first = strpbrk(key, "./");
  bool swap = first != NULL && *first == '.';
  size_t length = 0;

  for (; key[length] != '\0'; length++) {
    char letter = key[length];

    if (swap && (letter == '.' || letter == '/'))
      letter = letter == '.' ? '/' : '.';
    path[length] = letter;
  }
  path[length] = '\0';
}

/* A procfs nobody else has a name for. Where the kernel refuses one (no pid namespace of our own) it is the machine's, from before
 * any mount of the plan. */
static int open_kernel_parameters(const struct execution *execution) {
  auto_close int filesystem = open_filesystem("proc");
  auto_close int tree = -1;

  if (filesystem >= 0 && configure_filesystem(filesystem, SETTING_CREATE, NULL, NULL) == 0)
    tree = make_mount(filesystem, ATTRIBUTE_NOSUID | ATTRIBUTE_NODEV | ATTRIBUTE_NOEXEC);
  return openat(tree >= 0 ? tree : execution->proc, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int step_sysctl(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *key = text_of(step, 0);
  auto_close int parameters = -1;
  auto_close int file = -1;
  char path[PATH_MAX];

  sysctl_path(key, path);
  parameters = open_kernel_parameters(execution);
  if (parameters < 0)
    return fail(failure, "/proc/sys");
  file = open_resolved(parameters, path, O_WRONLY, 0, RESOLVE_BELOW | RESOLVE_WITHOUT_LINKS | RESOLVE_WITHOUT_MOUNTS);
  if (file < 0)
    return fail(failure, key);
  if (!is_on(file, PROC_SUPER_MAGIC))
    return fail_with(failure, EXDEV, key);
  return write_once(file, text_of(step, 1), step->strings[1].length) < 0 ? fail(failure, key) : 0;
}

/* A new network namespace has its loopback interface, but down: without this not even 127.0.0.1 answers. */
int step_loopback(struct execution *execution, const struct step *step, struct failure *failure) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  auto_close int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  (void)execution;
  (void)step;
  if (any < 0 && errno == EAFNOSUPPORT)
    any = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return any < 0 || ioctl(any, SIOCSIFFLAGS, &request) < 0 ? fail(failure, "lo") : 0;
}

int step_rlimit(struct execution *execution, const struct step *step, struct failure *failure) {
  struct rlimit limit = {.rlim_cur = step->integers[1], .rlim_max = step->integers[2]};
  char name[32];

  (void)execution;
  snprintf(name, sizeof name, "resource %u", (unsigned)step->integers[0]);
  return syscall(SYS_prlimit64, 0, (int)step->integers[0], &limit, NULL) < 0 ? fail(failure, name) : 0;
}

int step_umask(struct execution *execution, const struct step *step, struct failure *failure) {
  (void)failure;
  execution->mask = (mode_t)step->integers[0] & 0777;
  return 0;
}

int step_session_keyring(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *name = text_of(step, 0);

  (void)execution;
  if (syscall(SYS_keyctl, KEYCTL_JOIN, name[0] == '\0' ? NULL : name, 0, 0, 0) < 0 && errno != ENOSYS && errno != EDQUOT)
    return fail(failure, name);
  return 0; /* a kernel without keyrings has none to leak; a full quota is the user's other containers' doing */
}

int step_working_directory(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *path = text_of(step, 0);
  auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  auto_close int directory = -1;
  char now[PATH_MAX];

  (void)execution;
  if (root < 0)
    return fail(failure, path);
  if (step->integers[0] == 1)
    directory = make_directory(root, path, 0755, (uid_t)step->integers[1], (gid_t)step->integers[2], failure);
  else if ((directory = open_in_root(root, path, O_PATH | O_DIRECTORY, 0)) < 0)
    return fail(failure, path);
  if (directory < 0)
    return -1;
  if (fchdir(directory) < 0)
    return fail(failure, path);
  /* The system call, not getcwd(3): it tells a directory outside of the root by a path that does not begin with '/'. */
  if (syscall(SYS_getcwd, now, sizeof now) < 0)
    return fail(failure, path);
  return now[0] == '/' ? 0 : fail_with(failure, EXDEV, path);
}

/* The label that a security module gives the program at exec. */
int step_exec_label(struct execution *execution, const struct step *step, struct failure *failure) {
  const char *attribute = text_of(step, 0);
  auto_close int directory = openat(execution->proc, "thread-self/attr", O_PATH | O_DIRECTORY | O_CLOEXEC);
  auto_close int file = -1;

  if (directory < 0)
    return fail(failure, attribute);
  file = open_resolved(directory, attribute, O_WRONLY, 0, RESOLVE_BELOW | RESOLVE_WITHOUT_LINKS | RESOLVE_WITHOUT_MOUNTS);
  if (file < 0)
    return fail(failure, attribute);
  if (!is_on(file, PROC_SUPER_MAGIC))
    return fail_with(failure, EXDEV, attribute);
  return write_once(file, text_of(step, 1), step->strings[1].length) < 0 ? fail(failure, attribute) : 0;
}

int step_parent_death_signal(struct execution *execution, const struct step *step, struct failure *failure) {
  struct pollfd parent = {.fd = execution->theirs, .events = 0};

  if (prctl(PR_SET_PDEATHSIG, (unsigned long)step->integers[0], 0, 0, 0) < 0)
    return fail(failure, "");
  /* A parent that died before this call sends no signal, but its end of the socket is closed. */
  if (poll(&parent, 1, 0) < 0)
    return fail(failure, "");
  if ((parent.revents & POLLHUP) != 0)
    leave(1);
  return 0;
}
