#include "unit.h"

#include "channel/kit.h"
#include "channel/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct kit kit;
static struct listener *listener;
static int came_fd[64], came_count, came_until;
static struct peer came_peer;
static bool rest_then;

static void
came(void *ctx, int fd, const struct peer *p)
{
	(void)ctx;
	came_peer = *p;
	came_fd[came_count++] = fd;
	if (rest_then)
		listener_rest(listener, true);
	if (came_count == came_until)
		kit_done(&kit);
}

static void
begin(int fd)
{
	kit_open(&kit);
	came_count = came_until = 0;
	rest_then = false;
	listener = listener_open(kit.loop, fd, came, NULL);
}

static void
end(void)
{
	while (came_count > 0)
		close(came_fd[--came_count]);
	listener_close(&listener);
	listener_close(&listener);
	kit_close(&kit);
}

static uint16_t
port_of(int fd)
{
	struct peer p;

	assert_true(peer_here(fd, &p));
	return p.port;
}

static int
call(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
	                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void
test_whoever_comes_is_announced(void **state)
{
	struct buffer errors = { 0 };
	int fd = listener_bind("*:0", 0, &errors), caller, on = 0;
	uint16_t port;
	socklen_t len = sizeof on;

	(void)state;
	assert_true(fd >= 0);
	port = port_of(fd);
	begin(fd);
	caller = call(port);
	came_until = 1;
	assert_true(kit_run(&kit, 5000));
	SAME("v4 is v4 on a socket for both", bytes_of(came_peer.text), BYTES("127.0.0.1"));
	HOLDS("his port", came_peer.port == port_of(caller));
	HOLDS("does not block", fcntl(came_fd[0], F_GETFL) & O_NONBLOCK);
	HOLDS("is not inherited", fcntl(came_fd[0], F_GETFD) & FD_CLOEXEC);
	HOLDS("no Nagle", getsockopt(came_fd[0], IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on);
	HOLDS("kept alive", getsockopt(came_fd[0], SOL_SOCKET, SO_KEEPALIVE, &on, &len) == 0 && on);
	close(caller);
	end();
	buffer_free(&errors);
}

static void
test_a_resting_listener_accepts_nobody(void **state)
{
	struct buffer errors = { 0 };
	int fd = listener_bind("127.0.0.1:0", 0, &errors), caller[3];
	uint16_t port = port_of(fd);

	(void)state;
	begin(fd);
	listener_rest(listener, true);
	for (size_t i = 0; i < COUNT(caller); i++)
		caller[i] = call(port);
	came_until = 1;
	assert_false(kit_run(&kit, 20));
	listener_rest(listener, false);
	rest_then = true;
	assert_true(kit_run(&kit, 5000));
	HOLDS("at once, in the middle of three", came_count == 1);
	rest_then = false;
	listener_rest(listener, false);
	came_until = 3;
	assert_true(kit_run(&kit, 5000));
	for (size_t i = 0; i < COUNT(caller); i++)
		close(caller[i]);
	end();
	buffer_free(&errors);
}

static void
test_out_of_descriptors_it_rests_and_comes_back(void **state)
{
	struct buffer errors = { 0 };
	int fd = listener_bind("127.0.0.1:0", 0, &errors), caller[2], taken[512], n = 0;
	uint16_t port = port_of(fd);
	struct rlimit was, few;

	(void)state;
	begin(fd);
	caller[0] = call(port);
	caller[1] = call(port);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((taken[n] = dup(fd)) >= 0)
		n++;
	came_until = 2;
	HOLDS("nobody now", !kit_run(&kit, 300) && came_count == 0);
	while (n > 0)
		close(taken[--n]);
	HOLDS("both when there is room", kit_run(&kit, 5000));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	close(caller[0]);
	close(caller[1]);
	end();
	buffer_free(&errors);
}

static void
test_those_who_waited_long_are_turned_away(void **state)
{
	struct buffer errors = { 0 };
	int fd = listener_bind("127.0.0.1:0", 0, &errors), caller, taken[512], n = 0;
	uint16_t port = port_of(fd);
	struct rlimit was, few;
	char c;

	(void)state;
	begin(fd);
	caller = call(port);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((taken[n] = dup(fd)) >= 0)
		n++;
	came_until = 1;
	assert_false(kit_run(&kit, 2600));
	HOLDS("closed", recv(caller, &c, 1, MSG_DONTWAIT) == 0);
	while (n > 0)
		close(taken[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	close(caller);
	caller = call(port);
	HOLDS("the next is welcome", kit_run(&kit, 5000));
	close(caller);
	end();
	buffer_free(&errors);
}

struct bind_case { const char *why, *address, *complaint; };
static const struct bind_case binds[] = {
	{ "v4",             "127.0.0.1:0", NULL },
	{ "v6",             "[::1]:0",     NULL },
	{ "both",           "*:0",         NULL },
	{ "no port",        "127.0.0.1",   "expected an address and a port" },
	{ "port too large", "*:65536",     "expected an address and a port" },
	{ "port no number", "*:smtp",      "expected an address and a port" },
	{ "a name",         "mail.example.org:25", "expected an address and a port" },
	{ "v6, no brackets", "::1:25",     "expected an address and a port" },
	{ "nothing",        "",            "expected an address and a port" },
	{ "not ours",       "192.0.2.1:0", "Cannot assign requested address" },
	{ "no path",        "unix:",       "cannot listen on unix:" },
	{ "no such folder", "unix:/nowhere/at/all", "No such file or directory" },
};

static void
test_addresses_to_listen_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(binds); i++) {
		struct buffer errors = { 0 };
		int fd = listener_bind(binds[i].address, 0, &errors);

		HOLDS(binds[i].why, (fd >= 0) == (binds[i].complaint == NULL));
		if (fd >= 0)
			close(fd);
		else
			HOLDS(binds[i].why, bytes_search(buffer_bytes(&errors),
			                                 bytes_of(binds[i].complaint)) >= 0);
		buffer_free(&errors);
	}
}

static void
test_a_path_left_over_is_taken_a_living_one_is_not(void **state)
{
	char dir[] = "/tmp/mansio-unit-XXXXXX", path[64], address[80];
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct buffer errors = { 0 };
	struct stat st;
	int fd, caller;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/socket", dir);
	snprintf(address, sizeof address, "unix:%s", path);
	fd = listener_bind(address, 0600, &errors);
	HOLDS("made", fd >= 0 && stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
	HOLDS("in use", listener_bind(address, 0, &errors) < 0);
	close(fd);
	fd = listener_bind(address, 0, &errors);
	HOLDS("left over", fd >= 0 && stat(path, &st) == 0 && (st.st_mode & 07777) == 0666);
	begin(fd);
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	caller = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(caller, (struct sockaddr *)&to, sizeof to), 0);
	came_until = 1;
	assert_true(kit_run(&kit, 5000));
	SAME("who", bytes_of(came_peer.text), BYTES("local"));
	close(caller);
	end();
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	HOLDS("a file of somebody's", listener_bind(address, 0, &errors) < 0 && stat(path, &st) == 0);
	unlink(path);
	rmdir(dir);
	buffer_free(&errors);
}

UNIT(test_whoever_comes_is_announced, test_a_resting_listener_accepts_nobody,
     test_out_of_descriptors_it_rests_and_comes_back, test_those_who_waited_long_are_turned_away,
     test_addresses_to_listen_on, test_a_path_left_over_is_taken_a_living_one_is_not)
