/* After the container's end: removing what `--rm` asks to be removed.
 *
 * What others can see is renamed into a staging directory first (ocirun/image/staging.py), so that it vanishes at once, and a monitor that
 * is killed leaves garbage that prune knows. Only where none can be made, on a full disk, trees are removed where they are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor.h"
#include "system_calls.h"
#include "text.h"

struct cleanup {
  const struct monitor *monitor;
  const char *staging; /* NULL: there is none */
  int lock;            /* tells prune that the staging directory is in use, -1 when it is not */
  int64_t count;       /* trees in it */
};

/* "directory/name", or "directory/number" when `name` is NULL. false when it is too long. */
static bool join(char path[PATH_MAX], const char *directory, const char *name, int64_t number) {
  struct text text = {path, 0, PATH_MAX - 1};
  text_string(&text, directory);
  text_string(&text, "/");
  if (name != NULL)
    text_string(&text, name);
  else
    text_number(&text, number);
  path[text.length] = '\0';
  return text.length < PATH_MAX - 1;
}

static bool open_staging(struct cleanup *cleanup, const char *staging) {
  char path[PATH_MAX];
  if (cleanup->staging != NULL)
    return true;
  if (!join(path, staging, "lock", 0) || mkdir(staging, 0700) < 0)
    return false;
  cleanup->staging = staging;
  cleanup->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  /* Without it, or when prune was faster, it is taken for garbage: the same, only that prune may remove it too. */
  if (cleanup->lock >= 0)
    (void)!flock(cleanup->lock, LOCK_EX | LOCK_NB);
  return true;
}

static void close_staging(struct cleanup *cleanup) {
  struct failure failure;
  if (cleanup->staging != NULL)
    (void)!remove_tree(cleanup->staging, &failure); /* what cannot be removed stays for prune */
  close_quietly(&cleanup->lock);
}

static void discard(struct cleanup *cleanup, const char *path, const char *staging) {
  struct failure failure;
  char place[PATH_MAX];
  if (open_staging(cleanup, staging) && join(place, staging, NULL, cleanup->count) && rename(path, place) == 0)
    cleanup->count++;
  else
    (void)!remove_tree(path, &failure); /* the others go all the same; the engine finds what stays */
}

/* Does the file hold these bytes? -1 with errno when it cannot be read. */
static int file_holds(const char *path, const char *bytes, size_t length) {
  auto_close int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0)
    return -1;
  if (status.st_size == 0)
    return 0;
  void *content = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (content == MAP_FAILED)
    return -1;
  int holds = memmem(content, (size_t)status.st_size, bytes, length) != NULL;
  (void)munmap(content, (size_t)status.st_size);
  return holds;
}

/* Does a container other than ours name the volume in its record? Its name is 64 random digits, so any mention is one. What cannot be told
 * counts as yes. */
static bool is_used_by_others(const struct cleanup *cleanup, const char *volume, const char *containers) {
  char path[PATH_MAX];
  const char *ours = cleanup->monitor->state.path;
  DIR *directory = opendir(containers);
  bool is_used = directory == NULL;
  while (!is_used) {
    const struct dirent *entry = readdir(directory);
    if (entry == NULL)
      break;
    if (entry->d_name[0] == '.' || !join(path, containers, entry->d_name, 0))
      continue;
    size_t length = strlen(path);
    if (ours != NULL && strncmp(ours, path, length) == 0 && ours[length] == '/')
      continue;
    if (length + sizeof "/container.json" > sizeof path)
      continue;
    memcpy(path + length, "/container.json", sizeof "/container.json");
    int holds = file_holds(path, volume, strlen(volume));
    is_used = holds > 0 || (holds < 0 && errno != ENOENT && errno != ENOTDIR);
  }
  if (directory != NULL)
    closedir(directory);
  return is_used;
}

/* Whoever makes a container with a volume that he names holds it shared until its record is in place (ocirun/engine/volumes.py), so with
 * the lock in our hands the records tell all. */
static void remove_volume(struct cleanup *cleanup, const char *path, const char *containers, const char *staging) {
  const char *slash = strrchr(path, '/');
  auto_close int volume = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (volume < 0 || slash == NULL || flock(volume, LOCK_EX | LOCK_NB) < 0)
    return;
  if (!is_used_by_others(cleanup, slash + 1, containers))
    discard(cleanup, path, staging);
}

static void remove_all(const struct monitor *monitor) {
  struct cleanup cleanup = {.monitor = monitor, .lock = -1};
  struct failure failure;
  for (uint32_t index = 0; index < monitor->plan->step_count; index++) {
    const struct step *step = &monitor->plan->steps[index];
    const struct plan_string *strings = step->strings;
    if (step->kind == STEP_AFTER_EXIT_REMOVE)
      (void)!remove_tree(strings[0].bytes, &failure);
    else if (step->kind == STEP_AFTER_EXIT_DISCARD)
      discard(&cleanup, strings[0].bytes, strings[1].bytes);
    else if (step->kind == STEP_AFTER_EXIT_VOLUME)
      remove_volume(&cleanup, strings[0].bytes, strings[1].bytes, strings[2].bytes);
  }
  close_staging(&cleanup);
}

static bool is_cleanup(const struct step *step) {
  return step->kind == STEP_AFTER_EXIT_REMOVE || step->kind == STEP_AFTER_EXIT_DISCARD || step->kind == STEP_AFTER_EXIT_VOLUME;
}

static bool has_work(const struct plan *plan) {
  for (uint32_t index = 0; index < plan->step_count; index++)
    if (is_cleanup(&plan->steps[index]))
      return true;
  return false;
}

bool cleanup_takes(const struct plan *plan, const char *path) {
  for (uint32_t index = 0; index < plan->step_count; index++) {
    const struct step *step = &plan->steps[index];
    if (!is_cleanup(step))
      continue;
    const struct plan_string *tree = &step->strings[0];
    if (strncmp(path, tree->bytes, tree->length) == 0 && (path[tree->length] == '/' || path[tree->length] == '\0'))
      return true;
  }
  return false;
}

void cleanup_after_exit(const struct monitor *monitor) {
  if (!has_work(monitor->plan))
    return;
  if (!(monitor->flags & MONITOR_USER_NAMESPACE) || monitor->container.user_namespace < 0) {
    remove_all(monitor);
    return;
  }
  /* Files of the container's other users are ours only with the capabilities that joining its user namespace gives. It outlives the
   * container by our descriptor. The uid stays: capabilities do the work, and the way to the store may be open to this uid alone. */
  pid_t child = fork();
  if (child == 0) {
    int result = setns(monitor->container.user_namespace, CLONE_NEWUSER);
    remove_all(monitor);
    leave(result < 0);
  }
  if (child > 0)
    (void)waitpid(child, NULL, 0);
}
