/*
 * told -- a filter on libmilter that does what it is told, and tells what it has heard
 *
 *     told SOCKET [OPTION ...] [EVENT=DEED ...]
 *
 * EVENT is connect helo mail rcpt data unknown header eoh body eom; DEED is done whenever that comes, one
 * after the other: accept reject tempfail discard skip continue exit sleep:SECONDS reply:CODE:XCODE:TEXT
 * lines:CODE:XCODE:LINE|LINE and, for eom, add:NAME:VALUE insert:INDEX:NAME:VALUE change:INDEX:NAME:VALUE
 * body:TEXT from:ADDRESS[:PARAMETERS] rcpt:ADDRESS[:PARAMETERS] unrcpt:ADDRESS hold:REASON progress.
 * `EVENT@WORD=DEED` only if an argument holds WORD.
 * OPTIONS: version=N  steps=BITS  actions=BITS (hexadecimal: what it asks for)  symbols:STAGE=NAMES
 * macros=NAME,NAME (told with every event, if they are known).  What it hears is written to standard output.
 */
#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEEDS_MOST = 64, PARTS = 4 };
static struct deed {
	const char *event, *word, *what;
} deeds[DEEDS_MOST];
static struct symbols {
	int   stage;
	char *names;
} symbols[DEEDS_MOST];
static size_t          deed_count, symbol_count;
static char           *macros;
static unsigned long   want_steps, want_actions = SMFI_CURR_ACTS;
static int             sessions;
static pthread_mutex_t mouth = PTHREAD_MUTEX_INITIALIZER;

static void
tell_text(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\n')
			fputs("\\n", stdout);
		else if (*text == '\r')
			fputs("\\r", stdout);
		else if (*text == '\t')
			fputs("\\t", stdout);
		else
			putchar(*text);
}

static void
tell(SMFICTX *ctx, const char *event, ...)
{
	va_list     list;
	const char *text;

	pthread_mutex_lock(&mouth);
	printf("%ld %s", (long)(intptr_t)smfi_getpriv(ctx), event);
	va_start(list, event);
	while ((text = va_arg(list, const char *)) != NULL) {
		fputs(" [", stdout);
		tell_text(text);
		putchar(']');
	}
	va_end(list);
	putchar('\n');
	if (macros != NULL) {
		char *copy = strdup(macros), *rest = copy, *name;

		while ((name = strsep(&rest, ",")) != NULL) {
			const char *value = smfi_getsymval(ctx, name);

			if (value == NULL)
				continue;
			printf("%ld   %s %s=", (long)(intptr_t)smfi_getpriv(ctx), event, name);
			tell_text(value);
			putchar('\n');
		}
		free(copy);
	}
	fflush(stdout);
	pthread_mutex_unlock(&mouth);
}

static sfsistat
reply_lines(SMFICTX *ctx, char *code, char *status, char *lines)
{
	char *line[5] = { NULL };

	for (size_t i = 0; i < 5 && lines != NULL; i++)
		line[i] = strsep(&lines, "|");
	smfi_setmlreply(ctx, code, status, line[0], line[1], line[2], line[3], line[4],
	                (char *)NULL);
	return code[0] == '4' ? SMFIS_TEMPFAIL : SMFIS_REJECT;
}

static sfsistat
change(SMFICTX *ctx, const char *verb, char **part)
{
	int n = part[0] != NULL ? atoi(part[0]) : 0, rc = MI_SUCCESS;

	if (strcmp(verb, "add") == 0)
		rc = smfi_addheader(ctx, part[0], part[1]);
	else if (strcmp(verb, "insert") == 0)
		rc = smfi_insheader(ctx, n, part[1], part[2]);
	else if (strcmp(verb, "change") == 0)
		rc = smfi_chgheader(ctx, part[1], n,
		                    part[2] != NULL && part[2][0] != '\0' ? part[2] : NULL);
	else if (strcmp(verb, "body") == 0)
		rc = smfi_replacebody(ctx, (unsigned char *)part[0], (int)strlen(part[0]));
	else if (strcmp(verb, "from") == 0)
		rc = smfi_chgfrom(ctx, part[0], part[1]);
	else if (strcmp(verb, "rcpt") == 0)
		rc = part[1] != NULL ? smfi_addrcpt_par(ctx, part[0], part[1])
		                     : smfi_addrcpt(ctx, part[0]);
	else if (strcmp(verb, "unrcpt") == 0)
		rc = smfi_delrcpt(ctx, part[0]);
	else if (strcmp(verb, "hold") == 0)
		rc = smfi_quarantine(ctx, part[0]);
	else if (strcmp(verb, "progress") == 0)
		rc = smfi_progress(ctx);
	else
		printf("? %s\n", verb);
	if (rc != MI_SUCCESS)
		printf("failed %s\n", verb);
	return SMFIS_CONTINUE;
}

/* Backslash and n stand for a line end. */
static void
break_lines(char *p)
{
	char *to = p;

	for (; p != NULL && *p != '\0'; p++)
		if (p[0] == '\\' && p[1] == 'n') {
			*to++ = '\n';
			p++;
		} else
			*to++ = *p;
	if (p != NULL)
		*to = '\0';
}

static sfsistat
act(SMFICTX *ctx, const char *what)
{
	char *copy = strdup(what), *rest = copy, *verb = strsep(&rest, ":"),
	     *part[PARTS] = { NULL };
	sfsistat is = SMFIS_CONTINUE;
	/* The last part may hold colons. */
	int parts = strcmp(verb, "insert") == 0 || strcmp(verb, "change") == 0 ||
	                            strcmp(verb, "lines") == 0 || strcmp(verb, "reply") == 0
	                    ? 3
	            : strcmp(verb, "body") == 0 || strcmp(verb, "hold") == 0 ? 1
	                                                                     : 2;

	for (int i = 0; i < parts && rest != NULL; i++)
		part[i] = i + 1 == parts ? rest : strsep(&rest, ":");
	for (int i = 0; i < parts; i++)
		break_lines(part[i]);
	if (strcmp(verb, "accept") == 0)
		is = SMFIS_ACCEPT;
	else if (strcmp(verb, "reject") == 0)
		is = SMFIS_REJECT;
	else if (strcmp(verb, "tempfail") == 0)
		is = SMFIS_TEMPFAIL;
	else if (strcmp(verb, "discard") == 0)
		is = SMFIS_DISCARD;
	else if (strcmp(verb, "skip") == 0)
		is = SMFIS_SKIP;
	else if (strcmp(verb, "exit") == 0)
		_exit(1);
	else if (strcmp(verb, "sleep") == 0)
		usleep((useconds_t)(atof(part[0]) * 1e6));
	else if (strcmp(verb, "reply") == 0 || strcmp(verb, "lines") == 0)
		is = reply_lines(ctx, part[0], part[1], part[2]);
	else if (strcmp(verb, "continue") != 0)
		is = change(ctx, verb, part);
	free(copy);
	return is;
}

static sfsistat
deal(SMFICTX *ctx, const char *event, const char *argument)
{
	sfsistat is = SMFIS_CONTINUE;

	for (size_t i = 0; i < deed_count && is == SMFIS_CONTINUE; i++)
		if (strcmp(deeds[i].event, event) == 0 &&
		    (deeds[i].word == NULL ||
		     (argument != NULL && strstr(argument, deeds[i].word) != NULL)))
			is = act(ctx, deeds[i].what);
	return is;
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
	char text[INET6_ADDRSTRLEN] = "none";

	smfi_setpriv(ctx, (void *)(intptr_t)__atomic_add_fetch(&sessions, 1, __ATOMIC_SEQ_CST));
	if (address != NULL && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)address)->sin_addr, text,
		          sizeof text);
	else if (address != NULL && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)address)->sin6_addr, text,
		          sizeof text);
	tell(ctx, "connect", name, text, (char *)NULL);
	return deal(ctx, "connect", name);
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	tell(ctx, "helo", name, (char *)NULL);
	return deal(ctx, "helo", name);
}

static void
tell_arguments(SMFICTX *ctx, const char *event, char **argv)
{
	char all[2000] = "";

	for (int i = 1; argv[0] != NULL && argv[i] != NULL; i++)
		snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 1 ? " " : "",
		         argv[i]);
	tell(ctx, event, argv[0], all, (char *)NULL);
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	tell_arguments(ctx, "mail", argv);
	return deal(ctx, "mail", argv[0]);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	tell_arguments(ctx, "rcpt", argv);
	return deal(ctx, "rcpt", argv[0]);
}

static sfsistat
on_data(SMFICTX *ctx)
{
	tell(ctx, "data", (char *)NULL);
	return deal(ctx, "data", NULL);
}

static sfsistat
on_unknown(SMFICTX *ctx, const char *line)
{
	tell(ctx, "unknown", line, (char *)NULL);
	return deal(ctx, "unknown", line);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	tell(ctx, "header", name, value, (char *)NULL);
	return deal(ctx, "header", name);
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	tell(ctx, "eoh", (char *)NULL);
	return deal(ctx, "eoh", NULL);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *at, size_t len)
{
	char text[200];

	snprintf(text, sizeof text, "%zu %.*s", len, len < 120 ? (int)len : 120, (char *)at);
	tell(ctx, "body", text, (char *)NULL);
	return deal(ctx, "body", NULL);
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	tell(ctx, "eom", (char *)NULL);
	return deal(ctx, "eom", NULL);
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	tell(ctx, "abort", (char *)NULL);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	tell(ctx, "close", (char *)NULL);
	return SMFIS_CONTINUE;
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
             unsigned long f3, unsigned long *out_actions, unsigned long *out_steps,
             unsigned long *out2, unsigned long *out3)
{
	(void)f2, (void)f3;
	pthread_mutex_lock(&mouth);
	printf("0 negotiate [%lx] [%lx]\n", actions, steps);
	fflush(stdout);
	pthread_mutex_unlock(&mouth);
	*out_actions = actions & want_actions;
	*out_steps = steps & want_steps;
	*out2 = *out3 = 0;
	for (size_t i = 0; i < symbol_count; i++)
		smfi_setsymlist(ctx, symbols[i].stage, symbols[i].names);
	return SMFIS_CONTINUE;
}

static int
learn(char *text)
{
	char *value = strchr(text, '='), *word;

	if (value == NULL)
		return -1;
	*value++ = '\0';
	if (strcmp(text, "macros") == 0)
		macros = value;
	else if (strcmp(text, "steps") == 0)
		want_steps = strtoul(value, NULL, 16);
	else if (strcmp(text, "actions") == 0)
		want_actions = strtoul(value, NULL, 16);
	else if (strncmp(text, "symbols:", 8) == 0 && symbol_count < DEEDS_MOST)
		symbols[symbol_count++] = (struct symbols){ atoi(text + 8), value };
	else if (deed_count < DEEDS_MOST) {
		if ((word = strchr(text, '@')) != NULL)
			*word++ = '\0';
		deeds[deed_count++] = (struct deed){ text, word, value };
	} else
		return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	static char     name[] = "told";
	struct smfiDesc card = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFI_CURR_ACTS,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eoh = on_eoh,
		.xxfi_body = on_body,
		.xxfi_eom = on_eom,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_unknown = on_unknown,
		.xxfi_data = on_data,
		.xxfi_negotiate = on_negotiate,
	};

	for (int i = 2; i < argc; i++)
		if (learn(argv[i]) != 0) {
			fprintf(stderr, "told: %s?\n", argv[i]);
			return 2;
		}
	if (argc < 2 || smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(card) != MI_SUCCESS ||
	    smfi_opensocket(1) != MI_SUCCESS)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
