// SPDX-License-Identifier: ISC
//
// dunno: a policy service that knows nothing against anybody, as `bench/run
// smtp` has it on both sides.  Each request (attributes, and an empty line) is
// answered with action=DUNNO.
//
//     dunno PORT               on 127.0.0.1, until it is killed

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 4096, EVENTS = 64 };

static char last[FDS];	// of what each client said

static void
serve(int fd)
{
	static const char answer[] = "action=DUNNO\n\n";
	char text[16384];
	ssize_t n = read(fd, text, sizeof text);

	if (n <= 0) {
		close(fd);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] == '\n' && last[fd] == '\n' &&
		    write(fd, answer, sizeof answer - 1) < 0)
			break;
		last[fd] = text[i];
	}
}

int
main(int count, char **words)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	struct epoll_event event = { .events = EPOLLIN }, some[EVENTS];
	int listener = socket(AF_INET, SOCK_STREAM, 0), loop = epoll_create1(0), on = 1;

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	here.sin_port = htons((uint16_t)atoi(count == 2 ? words[1] : "0"));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	event.data.fd = listener;
	if (here.sin_port == 0 || bind(listener, (struct sockaddr *)&here, sizeof here) ||
	    listen(listener, 512) || epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event)) {
		perror("dunno");
		return 2;
	}
	for (;;) {
		int n = epoll_wait(loop, some, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = some[i].data.fd;

			if (fd != listener) {
				serve(fd);
				continue;
			}
			fd = accept(listener, NULL, NULL);
			if (fd >= FDS)
				close(fd);
			if (fd < 0 || fd >= FDS)
				continue;
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			last[fd] = 0;
			event.data.fd = fd;
			epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
		}
	}
}
