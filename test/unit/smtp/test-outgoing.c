/* A client's session: what it says to what a server answers, and what it makes of that. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "message/envelope.h"
#include "sasl/supplicant.h"
#include "smtp/sender/outgoing.h"

#define GREETING "220 mx.example ESMTP\r\n|"
#define EHLO "EHLO us.example\r\n"
#define ALL "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 DSN\r\n|"
#define PLAIN "250-mx.example\r\n250 8BITMIME\r\n|"
#define LETTER "A: b\r\n\r\n.x\r\n"
#define STUFFED "A: b\r\n\r\n..x\r\n.\r\n"

enum {
	TWO = 1,
	LMTP = 2,
	TLS = 4,
	MUST_TLS = 8,
	AUTH = 16,
	EIGHT = 32,
	PROBE = 64,
	DSN = 128,
	BINARY = 256,
	UTF8 = 512,
	FOLD = 1024,
	CRAM = 2048,
	LOST = 4096,
	IN_TIME = 8192,
	URGENT = 16384,
	BROKEN = 32768,
	TO_DATA = 65536,
	PLAIN_HELLO = 131072,
	CLIENT = 262144, /* XFORWARD */
	FILTER = 524288,
	DUMMY = 1048576,
	SOLICITS = 2097152
};

/* clang-format off */
static const struct talk {
	const char *why;
	unsigned    how;
	const char *letter;
	const char *server;  /* what it answers; | where it waits for us */
	const char *client;  /* all we said; NULL: chance is in it         */
	const char *told;    /* what the house hears                     */
} talks[] = {
	{ "rfc5321:3.3 one command after another", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|250 2.0.0 queued\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=delivered:2.0.0 done ready" },
	{ "rfc2920:3.1 all of the envelope at once", 0, LETTER,
	  GREETING ALL "250 ok\r\n250 ok\r\n354 go\r\n|250 queued\r\n",
	  EHLO "MAIL FROM:<a@x> SIZE=12\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=delivered:2.0.0 done ready" },
	{ "the same with one byte at a time is told by the sweep below", TWO, LETTER,
	  GREETING ALL "250 ok\r\n550 5.1.1 no such user\r\n250 ok\r\n354 go\r\n|250 queued\r\n",
	  EHLO "MAIL FROM:<a@x> SIZE=12\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n" STUFFED,
	  "ready 0=refused:5.1.1 1=delivered:2.0.0 done ready" },
	{ "rfc2920:3.1 nobody is taken and DATA is: an empty letter ends it", 0, LETTER,
	  GREETING ALL "250 ok\r\n550 no\r\n354 go\r\n|554 no valid recipients\r\n",
	  EHLO "MAIL FROM:<a@x> SIZE=12\r\nRCPT TO:<b@y>\r\nDATA\r\n.\r\n", "ready 0=refused:5.0.0 done ready" },
	{ "nobody is taken: the server forgets it, and may have the next", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|450 4.2.1 later\r\n|250 flushed\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRSET\r\n", "ready 0=elsewhere:4.2.1 done ready" },
	{ "MAIL is refused: so are all", TWO, LETTER,
	  GREETING PLAIN "550 5.7.1 not you\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRSET\r\n", "ready 0=refused:5.7.1 1=refused:5.7.1 done ready" },
	{ "with PIPELINING the answers to what was said behind it are waited for", 0, LETTER,
	  GREETING ALL "451 later\r\n503 first MAIL\r\n503 first MAIL\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x> SIZE=12\r\nRCPT TO:<b@y>\r\nDATA\r\nRSET\r\n", "ready 0=elsewhere:4.0.0 done ready" },
	{ "rfc5321:4.5.3.1.10 552 for one recipient more is not for good", TWO, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|552 too many\r\n|354 go\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n" STUFFED, "ready 1=elsewhere:4.0.0 0=delivered:2.0.0 done ready" },
	{ "nor is it where the status says so", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|552 5.5.3 too many recipients\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRSET\r\n", "ready 0=elsewhere:4.5.3 done ready" },
	{ "a mailbox that is full is for good, and its sender hears of it at once", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|552 5.2.2 over quota\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRSET\r\n", "ready 0=refused:5.2.2 done ready" },
	{ "the status of the line that counts", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|450-4.1.1 who\r\n550 5.1.1 nobody\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRSET\r\n", "ready 0=refused:5.1.1 done ready" },
	{ "the letter is refused at its end", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|554 5.7.1 spam\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=refused:5.7.1 done ready" },
	{ "rfc5321:4.2.1 the first digit of the answer to DATA is what counts", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|350 go\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=delivered:2.0.0 done ready" },
	{ "and yes is no go on: nothing was taken", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|250 ok\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nRSET\r\n", "ready 0=elsewhere:4.5.0 done ready" },
	{ "an answer that means nothing is a failure for now", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|354 go on\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=elsewhere:4.5.0 done ready" },
	{ "rfc5321:3.2 HELO where EHLO is not known", 0, LETTER,
	  GREETING "502 what?\r\n|250 mx\r\n|250 ok\r\n|250 ok\r\n|354 go\r\n|250 ok\r\n",
	  EHLO "HELO us.example\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=delivered:2.0.0 done ready" },
	{ "a greeting of 554 is another host's turn", 0, LETTER, "554 no\r\n", "QUIT\r\n", "failed=elsewhere:4.0.0" },
	{ "421 in the greeting", 0, LETTER, "421 4.3.2 busy\r\n", "QUIT\r\n", "failed=elsewhere:4.3.2" },
	{ "no server says that", 0, LETTER, "hello\r\n", "", "failed=elsewhere:4.4.2" },
	{ "nor that", 0, LETTER, "999 hello\r\n", "", "failed=elsewhere:4.4.2" },
	{ "421 in the midst of it", TWO, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|421 I go\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\n", "ready 0=elsewhere:4.0.0 1=elsewhere:4.0.0 bad over" },
	{ "lost before the end: another host may have it at once", LOST, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n", "ready 0=elsewhere:4.4.2 bad over" },
	{ "rfc1047 lost behind the final dot: nobody knows, so not at once", LOST, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=later:4.4.2 bad over" },
	{ "rfc2033:4.2 LMTP answers for each it took", LMTP | TWO, LETTER,
	  GREETING "250-mx\r\n250 PIPELINING\r\n|250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 2.1.5 one\r\n452 4.2.2 full\r\n",
	  "LHLO us.example\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n" STUFFED,
	  "ready 0=delivered:2.1.5 1=elsewhere:4.2.2 done ready" },
	{ "and for nobody else", LMTP | TWO, LETTER,
	  GREETING "250-mx\r\n250 PIPELINING\r\n|250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n|250 2.1.5 two\r\n",
	  "LHLO us.example\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n" STUFFED,
	  "ready 0=refused:5.1.1 1=delivered:2.1.5 done ready" },
	{ "rfc3207:4.2 what was said before TLS is forgotten", TLS, LETTER,
	  GREETING "250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n|220 go\r\n|250 mx\r\n|250 ok\r\n|250 ok\r\n|354 go\r\n|250 ok\r\n",
	  EHLO "STARTTLS\r\n" EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "secure ready 0=delivered:2.0.0 done ready" },
	{ "TLS is not offered where it is demanded", TLS | MUST_TLS, LETTER,
	  GREETING PLAIN, EHLO "QUIT\r\n", "failed=elsewhere:4.7.4" },
	{ "TLS is refused where it is welcome", TLS, LETTER,
	  GREETING "250-mx\r\n250 STARTTLS\r\n|454 not now\r\n|250 ok\r\n",
	  EHLO "STARTTLS\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "rfc4616 a login", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH LOGIN PLAIN\r\n|235 ok\r\n|250 ok\r\n",
	  EHLO "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "the old LOGIN", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH=LOGIN\r\n|334 VXNlcm5hbWU6\r\n|334 UGFzc3dvcmQ6\r\n|235 ok\r\n",
	  EHLO "AUTH LOGIN\r\ndGlt\r\ndGFuc3RhYWY=\r\nMAIL FROM:<a@x>\r\n", "ready" },
	{ "rfc2195:2 CRAM-MD5, its example", AUTH | CRAM, LETTER,
	  GREETING "250-mx\r\n250 AUTH PLAIN CRAM-MD5\r\n|334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n|235 ok\r\n",
	  EHLO "AUTH CRAM-MD5\r\ndGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\nMAIL FROM:<a@x>\r\n", "ready" },
	{ "a password that is shown to nobody outside TLS", AUTH | CRAM, LETTER,
	  GREETING "250-mx\r\n250 AUTH PLAIN LOGIN\r\n|", EHLO "QUIT\r\n", "failed=elsewhere:4.7.0" },
	{ "rfc4954:4 a server that asks on and on is left", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH LOGIN\r\n|334 a\r\n|334 b\r\n|334 c\r\n|334 d\r\n|334 e\r\n",
	  EHLO "AUTH LOGIN\r\ndGlt\r\ndGFuc3RhYWY=\r\n*\r\n", "failed=elsewhere:4.4.2" },
	{ "rfc4954:4 a mechanism that will not do after all is passed over", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH CRAM-MD5 PLAIN\r\n|504 5.5.4 not that one\r\n|235 ok\r\n",
	  EHLO "AUTH CRAM-MD5\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nMAIL FROM:<a@x>\r\n", "ready" },
	{ "rfc4954:4 one whose challenge nobody can answer is ended, and the next is tried", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH CRAM-MD5 LOGIN\r\n|334 \r\n|501 ended\r\n|334 x\r\n",
	  EHLO "AUTH CRAM-MD5\r\n*\r\nAUTH LOGIN\r\ndGlt\r\n", "" },
	{ "rfc4954:4 yes to what was given up is no login", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH PLAIN\r\n|334 more\r\n|235 ok\r\n",
	  EHLO "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n*\r\n", "failed=elsewhere:4.4.2" },
	{ "rfc5802:5 a server that does not prove itself gets no mail", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH PLAIN SCRAM-SHA-1\r\n|235 ok\r\n", NULL, "failed=elsewhere:4.4.2" },
	{ "a refused login keeps the mail", AUTH, LETTER,
	  GREETING "250-mx\r\n250 AUTH PLAIN\r\n|535 5.7.8 no\r\n", EHLO "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nQUIT\r\n", "failed=elsewhere:4.7.8" },
	{ "rfc6152:3 8-bit is declared", EIGHT, LETTER,
	  GREETING PLAIN "250 ok\r\n", EHLO "MAIL FROM:<a@x> BODY=8BITMIME\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "rfc6152:3 or does not go", EIGHT, LETTER, GREETING "250 mx\r\n", EHLO, "ready 0=refused:5.6.3 done ready" },
	{ "rfc6531:3.5 the same for addresses", UTF8, LETTER, GREETING PLAIN, EHLO, "ready 0=refused:5.6.7 done ready" },
	{ "rfc1870:6.1 longer than that server takes", 0, "A: b\r\n\r\n0123456789\r\n",
	  GREETING "250-mx\r\n250 SIZE 10\r\n", EHLO, "ready 0=refused:5.3.4 done ready" },
	{ "rfc3461:4 what is to be told", DSN, LETTER,
	  GREETING ALL "250 ok\r\n",
	  EHLO "MAIL FROM:<a@x> SIZE=12 RET=HDRS ENVID=q+2B1\r\nRCPT TO:<b@y> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@y\r\nDATA\r\n", "ready" },
	{ "rfc2852:4.1.4 the time that is left", IN_TIME | URGENT, LETTER,
	  GREETING "250-mx\r\n250-MT-PRIORITY\r\n250 DELIVERBY 10\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x> BY=119;RT MT-PRIORITY=-4\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "rfc2852:4.1.4 who cannot return it in time does not get it", IN_TIME, LETTER,
	  GREETING PLAIN, EHLO, "ready 0=refused:5.3.3 done ready" },
	{ "rfc6710 who knows no priority is not told of it", URGENT, LETTER,
	  GREETING PLAIN "250 ok\r\n", EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "rfc3865:2 what the letter solicits is told to who asks", SOLICITS, LETTER,
	  GREETING "250-mx\r\n250 NO-SOLICITING org.example:ADV\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x> SOLICIT=net.example:ADV,org.example:NEWS\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "rfc3865:2 and to nobody else", SOLICITS, LETTER,
	  GREETING PLAIN "250 ok\r\n", EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "rfc3030:2 a chunk is not stuffed", 0, LETTER,
	  GREETING "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n|250 ok\r\n250 ok\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 12 LAST\r\n" LETTER, "ready 0=delivered:2.0.0 done ready" },
	{ "rfc5321:4.2.4 CHUNKING is offered and BDAT not known: the letter is not refused, and the connection of no more use", 0, LETTER,
	  GREETING "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n|250 ok\r\n250 ok\r\n|502 5.5.1 what?\r\n500 5.5.2 A:?\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 12 LAST\r\n" LETTER, "ready 0=elsewhere:4.5.0 bad over" },
	{ "but a letter that is refused behind BDAT is", 0, LETTER,
	  GREETING "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n|250 ok\r\n250 ok\r\n|552 5.3.4 too big\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 12 LAST\r\n" LETTER, "ready 0=refused:5.3.4 done ready" },
	{ "250 to all, before it is asked: the letter has gone nowhere", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n250 2.0.0 queued\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=later:4.4.2 bad over" },
	{ "rfc3030:3 BINARYMIME needs it", BINARY, LETTER, GREETING PLAIN, EHLO, "ready 0=refused:5.6.3 done ready" },
	{ "no address brings a line of its own, wherever it comes from", BROKEN, LETTER, GREETING PLAIN, EHLO, "ready 0=refused:5.1.3 done ready" },
	{ "not in a probe either", BROKEN | PROBE, "", GREETING PLAIN, EHLO, "ready 0=refused:5.1.3 done ready" },
	{ "a probe ends before DATA", PROBE | TWO, "",
	  GREETING ALL "250 ok\r\n250 2.1.5 yes\r\n550 5.1.1 no\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nRSET\r\n", "ready 0=delivered:2.1.5 1=refused:5.1.1 done ready" },
	{ "a probe of a host that says at DATA who it does not know", PROBE | TO_DATA, "",
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|550 5.1.1 no such user\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nRSET\r\n", "ready 0=refused:5.1.1 done ready" },
	{ "and who it knows: the connection ends before a letter", PROBE | TO_DATA, "",
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n", "ready 0=delivered:2.1.5 bad over" },
	{ "who does not greet with ESMTP may get HELO", PLAIN_HELLO, LETTER,
	  "220 mx SMTP\r\n|250 mx\r\n|250 ok\r\n", "HELO us.example\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "and who does EHLO", PLAIN_HELLO, LETTER, GREETING PLAIN "250 ok\r\n", EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "rfc5321:2.3.8 bare LF and CR do not go out", 0, "A: b\n\nx\ry\n\r.\r\r\nz",
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nA: b\r\n\r\nx y\r\n . \r\nz\r\n.\r\n", "ready 0=delivered:2.0.0 done ready" },
	{ "smuggling: a dot alone behind LF is stuffed", 0, "A: b\n\nx\n.\nMAIL\n",
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nA: b\r\n\r\nx\r\n..\r\nMAIL\r\n.\r\n", "ready 0=delivered:2.0.0 done ready" },
	{ "rfc5321:4.5.3.1.6 long lines are folded", FOLD, "A: b\r\n\r\n0123456789abc\r\n",
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|250 ok\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nA: b\r\n\r\n01234567\r\n 89abc\r\n.\r\n", "ready 0=delivered:2.0.0 done ready" },
	{ "an answer in the midst of the letter is one to it", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n552 5.2.3 too big\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=refused:5.2.3 done ready" },
	{ "XFORWARD_README what is offered is told, and what is not known is said to be so", CLIENT, LETTER,
	  GREETING "250-mx\r\n250-XFORWARD NAME ADDR PROTO HELO\r\n250 XFORWARD SOURCE PORT\r\n|250 2.0.0 Ok\r\n|501 no\r\n|250 ok\r\n|250 ok\r\n",
	  EHLO "XFORWARD NAME=spike.porcupine.org ADDR=168.100.189.2 PORT=25\r\nXFORWARD PROTO=ESMTP HELO=a+3Db SOURCE=REMOTE\r\n"
	  "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n", "ready" },
	{ "of what nobody offers nothing is told", CLIENT, LETTER,
	  GREETING "250-mx\r\n250 XFORWARD IDENT\r\n|250 ok\r\n", EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "421 to it is another host's turn", CLIENT, LETTER,
	  GREETING "250-mx\r\n250 XFORWARD NAME\r\n|421 busy\r\n", EHLO "XFORWARD NAME=spike.porcupine.org\r\n",
	  "ready 0=elsewhere:4.3.0 bad over" },
	{ "each line of an answer is read as a filter has it", FILTER, LETTER,
	  GREETING "250-mx\r\n250-broken\r\n250 8BITMIME\r\n|250 ok\r\n|broken\r\n|",
	  EHLO "MAIL FROM:<a@x> SIZE=12\r\nRCPT TO:<b@y>\r\nRSET\r\n", "ready 0=elsewhere:4.7.1 done" },
	{ "a line that the filter is asked about waits, and those behind it", FILTER, LETTER,
	  GREETING "250-mx slow\r\n250-broken\r\n250 slow 8BITMIME\r\n|250 ok\r\n|slow broken\r\n|",
	  EHLO "MAIL FROM:<a@x> SIZE=12\r\nRCPT TO:<b@y>\r\nRSET\r\n", "ready 0=elsewhere:4.7.2 done" },
	{ "a filter that cannot be asked puts off", FILTER, LETTER, GREETING "250 mx dead\r\n|250 ok\r\n", EHLO,
	  "failed=elsewhere:4.3.0" },
	{ "and refuses nobody for good", FILTER, LETTER, GREETING PLAIN "250 ok\r\n|550 5.1.1 dead\r\n|",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready 0=elsewhere:4.3.0 bad over" },
	{ "what is taken is taken, or it would go twice", FILTER, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|250 2.0.0 dead\r\n|",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=delivered:2.0.0 done ready" },
	{ "what is refused behind the dot is put off, each for itself", FILTER | LMTP | TWO, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|250 ok\r\n|354 go\r\n|550 5.2.2 dead\r\n250 2.0.0 dead\r\n|",
	  "LHLO us.example\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n" STUFFED,
	  "ready 0=elsewhere:4.0.0 1=delivered:2.0.0 done ready" },
	{ "rfc4954:5 AUTH=<> where it was logged in", AUTH | DUMMY, LETTER,
	  GREETING "250-mx\r\n250 AUTH PLAIN\r\n|235 ok\r\n|250 ok\r\n",
	  EHLO "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\nMAIL FROM:<a@x> AUTH=<>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "and nowhere else", DUMMY, LETTER, GREETING PLAIN "250 ok\r\n", EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", "ready" },
	{ "what nobody asked for ends it", 0, LETTER,
	  GREETING PLAIN "250 ok\r\n|250 ok\r\n|354 go\r\n|250 ok\r\n|421 idle\r\n",
	  EHLO "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n" STUFFED, "ready 0=delivered:2.0.0 done ready over" },
};
/* clang-format on */

struct mouth {
	const struct talk          *talk;
	struct outgoing            *session;
	struct buffer               said, told;
	bool                        shake, sent, asked;
	size_t                      gone;
	struct outgoing_transaction t;
	struct outgoing_recipient   rcpt[2];
};

static struct buffer *
out(void *ctx)
{
	return &((struct mouth *)ctx)->said;
}

/* What was said in this turn has not gone. */
static size_t
pending(void *ctx)
{
	struct mouth *m = ctx;

	return m->said.len - m->gone;
}

static size_t
content(void *ctx, uint64_t at, char *to, size_t room)
{
	struct mouth *m = ctx;
	struct bytes  piece = bytes_cut(bytes_of(m->talk->letter), (size_t)at, room < 5 ? room : 5);

	memcpy(to, piece.at, piece.len);
	return piece.len;
}

static void
tell(struct mouth *m, const char *what)
{
	buffer_printf(&m->told, "%s%s", m->told.len > 0 ? " " : "", what);
}

static void
secure(void *ctx)
{
	struct mouth *m = ctx;

	tell(m, "secure");
	m->shake = true;
}

static void
wait(void *ctx, enum outgoing_wait what)
{
	(void)ctx, (void)what;
}

static const char *const fates[] = { "none", "delivered", "refused", "elsewhere", "later" };

static void
ready(void *ctx)
{
	struct mouth *m = ctx;

	tell(m, "ready");
	if (!m->sent)
		outgoing_send(m->session, (m->sent = true, &m->t));
}

static void
failed(void *ctx, enum outgoing_fate f, const char *status, const char *words)
{
	char text[64];

	(void)words;
	(void)snprintf(text, sizeof text, "failed=%s:%s", fates[f], status);
	tell(ctx, text);
}

static void
fate(void *ctx, uint32_t rcpt, enum outgoing_fate f, const char *status, const char *words)
{
	char text[64];

	(void)words;
	(void)snprintf(text, sizeof text, "%u=%s:%s", rcpt, fates[f], status);
	tell(ctx, text);
}

static void
done(void *ctx, bool good)
{
	tell(ctx, good ? "done" : "bad");
}

static void
over(void *ctx)
{
	tell(ctx, "over");
}

static bool
binding(void *ctx, const char *type, struct buffer *b)
{
	(void)ctx, (void)type, (void)b;
	return false;
}

/* "slow" is answered when it is asked for once more; "dead" never. */
static enum response_filtered
filter(void *ctx, struct bytes line, struct buffer *instead)
{
	struct mouth *m = ctx;

	if (bytes_search(line, BYTES("dead")) >= 0)
		return FILTERED_LATER;
	if (bytes_search(line, BYTES("slow")) >= 0 && (m->asked = !m->asked))
		return FILTERED_WAIT;
	if (bytes_is(line, "250-broken"))
		buffer_add_string(instead, "250-SIZE 1000");
	else if (bytes_is(line, "broken"))
		buffer_add_string(instead, "450 4.7.1 mended");
	else if (bytes_is(line, "slow broken"))
		buffer_add_string(instead, "450 4.7.2 mended slowly");
	return instead->len > 0 ? FILTERED : FILTERED_NOT;
}

static const struct outgoing_needs needs = { out,   pending, content, secure, binding, wait,
	                                     ready, failed,  fate,    done,   over,    filter };

static void
prepare(struct mouth *m, const struct talk *t, struct outgoing_config *c)
{
	*m = (struct mouth){ .talk = t };
	*c = (struct outgoing_config){
		.host = "mx.example[192.0.2.1]",
		.hello = "us.example",
		.lmtp = (t->how & LMTP) != 0,
		.tls = (t->how & MUST_TLS) != 0 ? OUTGOING_ENCRYPT
		       : (t->how & TLS) != 0    ? OUTGOING_MAY
		                                : OUTGOING_CLEAR,
		.line_most = (t->how & FOLD) != 0 ? 8 : 998,
		.skip_5xx_greeting = true,
		.always_ehlo = (t->how & PLAIN_HELLO) == 0,
		.verify_data = (t->how & TO_DATA) != 0,
		.auth = (t->how & AUTH) != 0,
		.user = (t->how & AUTH) != 0 ? "tim" : NULL,
		.password = (t->how & CRAM) != 0 ? "tanstaaftanstaaf" : "tanstaaf",
		.demands = (t->how & CRAM) != 0 ? SUPPLICANT_NO_PLAINTEXT : 0,
		.auth_soft = true,
		.xforward = (t->how & CLIENT) != 0,
		.filters = (t->how & FILTER) != 0,
		.dummy_auth = (t->how & DUMMY) != 0,
	};
	m->rcpt[0] = (struct outgoing_recipient){ .address = BYTES("b@y") };
	m->rcpt[1] = (struct outgoing_recipient){ .address = BYTES("c@y") };
	if ((t->how & BROKEN) != 0)
		m->rcpt[0].address = BYTES("b@y>\r\nRCPT TO:<c@y");
	m->t = (struct outgoing_transaction){ .sender = BYTES("a@x"),
		                              .envid = (t->how & DSN) != 0 ? BYTES("q+2B1")
		                                                           : BYTES(""),
		                              .ret = (t->how & DSN) != 0 ? 'H' : 0,
		                              .eight_bit = (t->how & EIGHT) != 0,
		                              .binary = (t->how & BINARY) != 0,
		                              .utf8 = (t->how & UTF8) != 0,
		                              .probe = (t->how & PROBE) != 0,
		                              .by_mode = (t->how & IN_TIME) != 0 ? 'R' : 0,
		                              .by_trace = true,
		                              .by = 119,
		                              .priority = (t->how & URGENT) != 0 ? -4 : 0,
		                              .solicit = (t->how & SOLICITS) != 0 ? BYTES("net.example:ADV,org.example:NEWS") : BYTES(""),
		                              .size = strlen(t->letter),
		                              .rcpt = m->rcpt,
		                              .rcpts = (t->how & TWO) != 0 ? 2 : 1 };
	if ((t->how & CLIENT) != 0)
		m->t.origin = (struct outgoing_origin){ .name = BYTES("spike.porcupine.org"),
			                                .address = BYTES("168.100.189.2"),
			                                .port = BYTES("25"),
			                                .protocol = BYTES("ESMTP"),
			                                .helo = BYTES("a=b"),
			                                .source = BYTES("REMOTE") };
	if ((t->how & DSN) != 0) {
		m->rcpt[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
		m->rcpt[0].orcpt = BYTES("rfc822;b+2Bc@y");
	}
}

/* The server's words in pieces of `step` bytes; where it waits the rest is to be used up. */
static void
play(const struct talk *t, size_t step)
{
	struct mouth           m;
	struct outgoing_config c;
	struct bytes           rest = bytes_of(t->server), turn;
	struct buffer          unread = { 0 };

	prepare(&m, t, &c);
	m.session = outgoing_open(&c, &needs, &m);
	while (bytes_split(&rest, '|', &turn)) {
		m.gone = m.said.len;
		while (turn.len > 0) {
			buffer_add(&unread, bytes_cut(turn, 0, step));
			turn = bytes_cut(turn, step, SIZE_MAX);
			buffer_eat(&unread, outgoing_take(m.session, buffer_bytes(&unread)));
		}
		/* What waited for the filter goes on. */
		for (int i = 0; (t->how & FILTER) != 0 && i < 4; i++)
			buffer_eat(&unread, outgoing_take(m.session, buffer_bytes(&unread)));
		if (m.shake) {
			m.shake = false;
			outgoing_secured(m.session, true, "");
		}
	}
	if ((t->how & LOST) != 0)
		outgoing_lost(m.session, "end of file", false);
	SAME(t->why, buffer_bytes(&m.told), bytes_of(t->told));
	if (t->client != NULL)
		SAME(t->why, buffer_bytes(&m.said), bytes_of(t->client));
	outgoing_close(&m.session);
	buffer_free(&m.said);
	buffer_free(&m.told);
	buffer_free(&unread);
}

static void
test_talks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(talks); i++) {
		play(&talks[i], SIZE_MAX);
		play(&talks[i], 1);
		play(&talks[i], 7);
	}
}

/* ---- answers by themselves ---- */

static void
test_bounds(void **state)
{
	struct response r = { 0 };
	struct buffer   b = { 0 };
	size_t          used;
	(void)state;

	for (int i = 0; i < RESPONSE_LINES_MOST + 1; i++)
		buffer_add_string(&b, "250-x\r\n");
	response_begin(&r);
	HOLDS("an answer without end",
	      response_take(&r, buffer_bytes(&b), &used) == RESPONSE_NONSENSE);
	buffer_reset(&b);
	buffer_add_string(&b, "250 ");
	for (int i = 0; i <= RESPONSE_LINE_MOST; i++)
		buffer_add_char(&b, 'x');
	response_begin(&r);
	HOLDS("a line without end",
	      response_take(&r, buffer_bytes(&b), &used) == RESPONSE_NONSENSE);
	response_free(&r);
	buffer_free(&b);
}

static void
test_status(void **state)
{
	static const struct {
		const char *why, *text, *status, *words;
	} rows[] = {
		{ "rfc3463:2", "550 5.1.1 who?\r\n", "5.1.1", "550 5.1.1 who?" },
		{ "of another class it is none", "550 4.1.1 who?\r\n", "5.0.0", "550 4.1.1 who?" },
		{ "three digits each", "450 4.999.999 x\r\n", "4.999.999", "450 4.999.999 x" },
		{ "no more", "450 4.1000.1 x\r\n", "4.0.0", "450 4.1000.1 x" },
		{ "none", "250 ok\r\n", "2.0.0", "250 ok" },
		{ "no words at all", "250\r\n", "2.0.0", "250" },
		{ "several lines become one", "550-5.1.1 a\r\n550 5.1.1 b\r\n", "5.1.1",
		  "550-5.1.1 a 550 5.1.1 b" },
		{ "controls and 8-bit are not passed on", "550 a\033[1m\xff\r\n", "5.0.0",
		  "550 a?[1m?" },
		{ "the last line's code holds", "550-a\r\n250 b\r\n", "2.0.0", "550-a 250 b" },
	};
	struct response r = { 0 };
	struct buffer   words = { 0 };
	char            status[12];
	size_t          used;
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		response_begin(&r);
		buffer_reset(&words);
		HOLDS(rows[i].why,
		      response_take(&r, bytes_of(rows[i].text), &used) == RESPONSE_WHOLE);
		response_status(&r, status);
		response_words(&r, &words);
		SAME(rows[i].why, bytes_of(status), bytes_of(rows[i].status));
		SAME(rows[i].why, buffer_bytes(&words), bytes_of(rows[i].words));
	}
	response_free(&r);
	buffer_free(&words);
}

UNIT(test_talks, test_bounds, test_status)
