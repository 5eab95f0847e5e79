/* Inside the executor: the state that steps share, and one function for each kind of step. */
#ifndef OCIRUN_EXECUTION_H
#define OCIRUN_EXECUTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "plan.h"

/* What the process that executes steps knows. All descriptors are CLOEXEC. */
struct execution {
  const struct plan *plan;
  bool task;           /* a task keeps all its descriptors; a program gets 0, 1 and 2 */
  int standard[3];     /* what become 0, 1, 2 */
  int ours;            /* the launcher's end of the report socket */
  int theirs;          /* the child's end; it closes when exec succeeds, and by that the launcher knows */
  int proc;            /* O_PATH of this machine's /proc, from before any step: no mount of a plan can stand in for it */
  int root;            /* O_PATH of the container's root; -1 before open_root */
  bool pivoted;
  bool joined;         /* the clone happens among namespaces of others, where its /proc files may be out of reach */
  mode_t mask;         /* umask of the program. Steps themselves run with 0, so that modes are exact */
  bool prepared;       /* prepare_exec has been done */
  uint32_t late_flags; /* clone flags that take effect only after cgroup_enter */
};

/* Messages from the child to the launcher. Each is one packet: the letter, then the payload. */
enum report {
  REPORT_PID = 'P',       /* pid_t of the clone, sent by the process that joined namespaces */
  REPORT_TERMINAL = 'T',  /* the terminal's master, as SCM_RIGHTS */
  REPORT_EXECUTING = 'E', /* about to exec: what follows is a failure, or the end of the socket, which means success */
  REPORT_FAILURE = 'F',   /* struct failure */
  REPORT_DONE = 'D',      /* all steps of a task have succeeded */
  REPORT_GO = 'G'         /* to the child: the id maps are written, begin */
};
enum { REPORT_BYTES = sizeof(struct failure) }; /* the longest payload */

/* Send one report; `descriptor` -1: none goes along. */
must_check int report_send(int socket, enum report letter, const void *bytes, size_t length, int descriptor);

/* A step's string and integers by number, as ocirun/runtime/steps.py lists them. */
static inline const char *text_of(const struct step *step, uint32_t index) {
  return step->strings[index].bytes;
}

/* The directory that holds the last component of `path`, made as far as it is missing, and that component in `name`.
 * `path` is below `root`, links and all. An O_PATH descriptor, or -1. */
must_check int open_parent(int root, const char *path, char name[NAME_MAX + 1], struct failure *failure);
/* What `path` below `root` is, made when it is missing: a directory, or else an empty file. An O_PATH descriptor, or -1. */
must_check int open_target(int root, const char *path, bool directory, struct failure *failure);
/* A directory below `root`, made with mode and owner when it is missing (-1: owner of this process). An O_PATH descriptor, or -1. */
must_check int make_directory(int root, const char *path, mode_t mode, uid_t uid, gid_t gid, struct failure *failure);

/* Put the detached mount `tree` on `path` below the root; the target is made when `create` says so. */
must_check int attach_tree(const struct execution *execution, int tree, const char *path, bool create, bool directory,
                           struct failure *failure);
/* The root; without one (in an exec session) this process's own. An O_PATH descriptor to be closed, or -1. */
must_check int open_current_root(const struct execution *execution, struct failure *failure);

/* No other process may look into this one, whatever it has in the container: its memory and descriptors are still the helper's. To be said
 * again after ids change, for then the kernel sets it to fs.suid_dumpable. */
must_check int hide_process(void);

typedef int step_function(struct execution *execution, const struct step *step, struct failure *failure);

/* steps_namespace.c: before the clone */
must_check int join_namespaces(struct execution *execution, struct failure *failure);
/* steps_parent.c: in the process that cloned, while `child` waits */
must_check int run_parent_steps(struct execution *execution, pid_t child, struct failure *failure);
/* Set the score of this process, which its children inherit. In the child itself; where namespaces are joined, before that. */
must_check int set_oom_score(struct execution *execution, struct failure *failure);

step_function step_become, step_propagation, step_open_root, step_pivot, step_readonly_root;         /* steps_root.c */
step_function step_mount, step_bind, step_bind_device, step_mask, step_readonly_path;                /* steps_mount.c */
step_function step_overlay;                                                                          /* steps_overlay.c */
step_function step_make_symlink, step_make_node, step_make_directory, step_prepare_directory, step_populate; /* steps_files.c */
step_function step_console;                                                                          /* steps_console.c */
step_function step_hostname, step_domainname, step_sysctl, step_rlimit, step_umask, step_session_keyring; /* steps_process.c */
step_function step_working_directory, step_parent_death_signal, step_exec_label, step_loopback;      /* steps_process.c */
step_function step_credentials, step_no_new_privileges, step_seccomp;                                /* steps_credentials.c */
step_function step_command;                                                                          /* steps_command.c */

/* What is to happen once before exec and before a seccomp filter can forbid it: umask, and no descriptor stays open. */
must_check int prepare_exec(struct execution *execution);
/* run_plan.c: every step that belongs to the child, in order */
must_check int run_child_steps(struct execution *execution, struct failure *failure);

/* reaper.c: be pid 1 for `command`: forward signals, reap, end with its status. Only returns in the child that is to execute the command (0),
 * or -1 when there is none. */
must_check int become_reaper(struct failure *failure);

#endif
