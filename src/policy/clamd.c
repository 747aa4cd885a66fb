#include "policy/clamd.h"

#include <string.h>
#include <time.h>

#define AT(f) offsetof(struct scan_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "clamd_socket", SETTING_TEXT, AT(socket), "",
	  "Where clamd hears: unix:/run/clamav/clamd.ctl or inet:127.0.0.1:3310; empty: letters are not scanned for viruses.", NULL, 0, 0, "0.3" },
	{ "clamd_max_size", SETTING_SIZE, AT(size_most), "25M",
	  "Larger letters are not scanned (clamd's StreamMaxLength says what it takes); 0: all are.", NULL, 0, 0, "0.3" },
	{ "clamd_timeout", SETTING_TIME, AT(timeout), "60s",
	  "How long clamd may take for a letter.", NULL, 100, 600000, "0.3" },
	{ "clamd_signatures_age", SETTING_TIME, AT(signatures_ms), "7d",
	  "How old clamd's signatures may be before the log warns of it; mansio status tells their age; 0: no warning.", NULL, 0, 0, "0.3" },
	{ "clamd_on_infected", SETTING_CHOICE, AT(infected), "reject",
	  "What becomes of a letter with a virus: accept; reject, with 550; quarantine, it is held in the queue until mansio queue release or delete; defer, with 451; blackhole, it is taken and thrown away; mailbox, each user here finds it in quarantine_mailbox and may take it from there, and for anybody else it is held as with quarantine.",
	  "accept,reject,quarantine,defer,blackhole,mailbox", 0, 0, "0.3" },
	{ "clamd_on_fail", SETTING_CHOICE, AT(failed), "defer",
	  "What becomes of a letter while clamd cannot be asked: defer, with 451; accept, unscanned; reject, with 550.",
	  "defer,accept,reject", 0, 0, "0.3" },
	{ "clamd_add_header", SETTING_CHOICE, AT(header), "no",
	  "Whether what was scanned gets the fields X-Virus-Scanned and X-Virus-Status: add; replace, those that came with the letter are left out.",
	  "no,add,replace", 0, 0, "0.3" },
	{ "clamd_report_hostname", SETTING_TEXT, AT(hostname), "$myhostname",
	  "The name of this host in X-Virus-Scanned.", NULL, 0, 0, "0.3" },
	{ "clamd_network_exceptions", SETTING_LIST, AT(networks), "",
	  "Networks whose clients' letters are not scanned.", NULL, 0, 0, "0.3" },
	{ "clamd_login_exceptions", SETTING_LIST, AT(logins), "",
	  "Users whose letters are not scanned; *: of everybody who has logged in.", NULL, 0, 0, "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table scan_setting_table = { "Viruses", rows, COUNT(rows) };

const char *
clamd_place(struct bytes text, struct clamd_place *out)
{
	static const char *const form = "write unix:/run/clamav/clamd.ctl or inet:127.0.0.1:3310";
	ptrdiff_t                colon;
	uint64_t                 port;

	*out = (struct clamd_place){ .is_path = true, .host = bytes_cut(text, 5, text.len) };
	if (bytes_starts(text, BYTES("unix:")))
		return out->host.len > 1 && out->host.at[0] == '/' ? NULL : form;
	if (!bytes_starts(text, BYTES("inet:")) || (colon = bytes_find_last(out->host, ':')) <= 0)
		return form;
	if (!bytes_number(bytes_cut(out->host, (size_t)colon + 1, text.len), &port) || port == 0 ||
	    port > UINT16_MAX)
		return form;
	out->is_path = false;
	out->port = (uint16_t)port;
	out->host.len = (size_t)colon;
	if (out->host.len > 2 && out->host.at[0] == '[' && out->host.at[out->host.len - 1] == ']')
		out->host = bytes_cut(out->host, 1, out->host.len - 2);
	if (bytes_is(out->host, "localhost"))
		out->host = BYTES("127.0.0.1");
	for (size_t i = 0; i < out->host.len; i++)
		if (strchr("0123456789abcdefABCDEF.:", out->host.at[i]) == NULL)
			return form;
	return NULL;
}

void
clamd_begin(struct buffer *out)
{
	buffer_add(out, (struct bytes){ "zINSTREAM", sizeof "zINSTREAM" });
}

void
clamd_piece(struct bytes piece, struct buffer *out)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buffer_add_char(out, (char)(piece.len >> shift & 0xff));
	buffer_add(out, piece);
}

enum { NAME_MOST = 200 };

struct bytes
clamd_harmless(struct bytes said, struct arena *arena)
{
	struct bytes in = bytes_cut(said, 0, NAME_MOST);
	char        *at = arena_take(arena, in.len + 1);

	for (size_t i = 0; i < in.len; i++)
		at[i] = in.at[i] < ' ' || in.at[i] > '~' || in.at[i] == '(' || in.at[i] == ')'
		                ? '?'
		                : in.at[i];
	return (struct bytes){ at, in.len };
}

void
clamd_fields(const char *program, const char *host, const char *status, struct bytes name,
             struct buffer *out)
{
	buffer_printf(out,
	              "X-Virus-Scanned: %s with ClamAV at %s\r\nX-Virus-Status: %s%s%.*s%s\r\n",
	              program, host, status, name.len > 0 ? " (" : "", (int)name.len, name.at,
	              name.len > 0 ? ")" : "");
}

/* "Sat Nov 16 10:32:01 2024", by the clock of the machine that made them, which is UTC; days of one digit have a blank before. */
bool
clamd_version(struct bytes reply, uint64_t *number, int64_t *made)
{
	ptrdiff_t    nul = bytes_find(reply, '\0');
	struct bytes rest = bytes_cut(reply, 0, nul < 0 ? reply.len : (size_t)nul), program, which;
	char         text[32];
	struct tm    tm = { 0 };
	const char  *end;

	if (!bytes_starts(rest, BYTES("ClamAV ")) || !bytes_split(&rest, '/', &program) ||
	    !bytes_split(&rest, '/', &which) || !bytes_number(which, number) ||
	    !bytes_string(bytes_trim(rest), text, sizeof text))
		return false;
	end = strptime(text, "%a %b %d %H:%M:%S %Y", &tm);
	if (end == NULL || *end != '\0' || tm.tm_year < 100 || tm.tm_year > 1000)
		return false;
	*made = (int64_t)timegm(&tm);
	return true;
}

/* "stream: OK", "stream: Eicar-Signature FOUND", "INSTREAM size limit exceeded. ERROR" */
enum clamd_answer
clamd_reply(struct bytes arrived, bool ended, struct bytes *name)
{
	ptrdiff_t nul = bytes_find(arrived, '\0');

	*name = BYTES("");
	if (nul < 0 && !ended && arrived.len < CLAMD_REPLY_MOST)
		return CLAMD_SHORT;
	if (nul < 0) {
		*name = ended ? BYTES("the connection ended before the answer")
		              : BYTES("too long an answer");
		return CLAMD_FAILED;
	}
	arrived = bytes_trim(bytes_cut(arrived, 0, (size_t)nul));
	if (bytes_equal(arrived, BYTES("stream: OK")))
		return CLAMD_CLEAN;
	*name = arrived;
	if (!bytes_starts(arrived, BYTES("stream: ")) ||
	    !bytes_ends_nocase(arrived, BYTES(" FOUND")))
		return CLAMD_FAILED;
	*name = bytes_trim(bytes_cut(arrived, 8, arrived.len - 8 - 6));
	return CLAMD_INFECTED;
}
