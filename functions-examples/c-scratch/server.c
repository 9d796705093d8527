/* A whole HTTP server for an image that holds nothing else: GET / answers "Hello from C". */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello from C\n";

static void stop(int signal_number) {
  (void)signal_number;
  _exit(0);
}

/* Answers each request of a connection. Requests with a body are not served: it would be read as
   the next request. */
static void *serve(void *argument) {
  int connection = (int)(long)argument;
  char buffer[16384];
  size_t used = 0;
  for (;;) {
    char *end;
    while ((end = memmem(buffer, used, "\r\n\r\n", 4)) != NULL) {
      size_t head = (size_t)(end - buffer) + 4;
      if (send(connection, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) < 0) goto done;
      memmove(buffer, buffer + head, used - head);
      used -= head;
    }
    if (used == sizeof buffer) break;
    ssize_t got = recv(connection, buffer + used, sizeof buffer - used, 0);
    if (got <= 0) break;
    used += (size_t)got;
  }
done:
  close(connection);
  return NULL;
}

int main(void) {
  const char *text = getenv("PORT");
  struct sockaddr_in address = {
      .sin_family = AF_INET,
      .sin_port = htons((unsigned short)atoi(text != NULL ? text : "8080")),
      .sin_addr.s_addr = htonl(INADDR_ANY),
  };
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 128) < 0) {
    perror("listen");
    return 1;
  }
  /* PID 1 has no default actions: without a handler SIGTERM would do nothing. */
  signal(SIGTERM, stop);
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) continue;
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, (void *)(long)connection) != 0) close(connection);
    else pthread_detach(thread);
  }
}
