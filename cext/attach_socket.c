#include "attach_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "text.h"

/* How many may connect before the monitor gets to accept them. */
#define BACKLOG 64

/* Change to the directory of `path`; the last component, or NULL with errno. */
static const char *enter_parent(const char *path) {
  char parent[PATH_MAX];
  struct text text = {parent, 0, sizeof parent - 1};
  const char *slash = strrchr(path, '/');
  if (slash == NULL || strlen(path) >= sizeof parent) {
    errno = EINVAL;
    return NULL;
  }
  text_bytes(&text, path, (size_t)(slash - path) + 1);
  parent[text.length] = '\0';
  return chdir(parent) < 0 ? NULL : slash + 1;
}

static int bind_here(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  if (length == 0 || length >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, name, length);
  int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0)
    return -1;
  if (unlink(name) < 0 && errno != ENOENT)
    goto failed;
  mode_t mask = umask(0177);
  int result = bind(listener, (struct sockaddr *)&address, sizeof address);
  umask(mask);
  if (result < 0 || listen(listener, BACKLOG) < 0)
    goto failed;
  return listener;
failed:
  result = errno;
  close(listener);
  errno = result;
  return -1;
}

int attach_listen(const char *path) {
  const char *name = enter_parent(path);
  int listener = name == NULL ? -1 : bind_here(name);
  int error = errno;
  if (chdir("/") < 0 && listener >= 0) {
    close(listener);
    return -1;
  }
  errno = error;
  return listener;
}

int attach_accept(int listener) {
  for (;;) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
      if (errno == EINTR || errno == ECONNABORTED)
        continue;
      return -1;
    }
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && (peer.uid == geteuid() || peer.uid == 0))
      return client;
    close(client);
  }
}

void attach_refuse(int listener, const char *path) {
  const char *name = enter_parent(path);
  if (name != NULL)
    unlink(name);
  (void)!chdir("/");
  (void)shutdown(listener, SHUT_RD);
}
