/* test -- a server is tried out as a client would */

#include <string.h>

#include "command/command.h"
#include "command/test-send.h"

static int run_test(struct call *);

const struct command command_test = {
	.name = "test",
	.forms =
		"test send -t TO [-f FROM] [-s SERVER] [-p PORT] [-tls | -tlso | -tlsc] [-a MECHANISM] [-au USER] [-ap PASSWORD] "
		"[--helo NAME] [--body TEXT_OR_FILE] [--header LINE | --h-NAME TEXT]... [--attach FILE]... [-d FILE] [-q WHERE] [--protocol smtp|lmtp] "
		"[--tls-verify] [--tls-ca-path FILE] [--tls-cert FILE] [--tls-key FILE]\n"
		"test relay [HOST | unix:PATH] [--to ADDRESS] [--domain DOMAIN]",
	.about =
		"Sends a letter by hand and shows the dialogue, or tries whether a server relays for strangers.",
	.more = "send takes the options of swaks that tutorials use, with one hyphen or two: to, from, server, port, tls "
		"(STARTTLS), tls-optional, tls-on-connect, auth with PLAIN, LOGIN or CRAM-MD5, auth-user, auth-password (asked for where it is not "
		"there), body, header, attach, data, and quit-after connect, helo, auth, mail or rcpt. TO may be several, by comma. The server is localhost if not said; it, and HOST, may have a port behind it, as mail.example.org:587. The "
		"dialogue is shown as swaks does it: -> what we say, <- what the server says, ~> and <~ within TLS, ** where it refuses; "
		"passwords are not shown. The exit status says where it went wrong, as swaks' does: 0 nowhere, 2 no connection, 21 banner, 22 "
		"EHLO, 23 MAIL, 24 no recipient taken, 25 DATA, 26 the letter, 27 QUIT, 28 AUTH, 29 TLS, 32 EHLO in TLS, 6 it broke off, 1 "
		"wrongly called.\n"
		"\n"
		"relay tries the classic ways to have a server relay for strangers (%, !, quotes, source routes, addresses in brackets, the null "
		"sender, forged senders of its own domain), each up to RCPT TO and no further, and tells which were taken. Without HOST our "
		"own server is tried, from an address of this machine that mynetworks does not trust; where there is none, that is said, and "
		"it has to be tried from another machine. unix:PATH is a socket of a listener that hears the PROXY protocol "
		"(smtpd_upstream_proxy_protocol = haproxy): there the stranger is 192.0.2.1. mansio setup tries it, too. Exit status: 0 nothing was taken; 1 something was; 2 it could not be tried.",
	.run = run_test,
};

static int
run_test(struct call *c)
{
	if (c->argc >= 2 && strcmp(c->argv[1], "send") == 0)
		return test_send(c, c->argc - 1, c->argv + 1);
	if (c->argc >= 2 && strcmp(c->argv[1], "relay") == 0)
		return test_relay(c, c->argc - 1, c->argv + 1);
	return command_wrong(c, "test wants send or relay");
}
