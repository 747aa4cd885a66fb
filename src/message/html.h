/*
 * html -- what a reader sees of HTML
 *
 * From:     message/search
 *
 * html_text()  takes the next piece of a document in UTF-8 and appends its text: no tags, no comments, nothing of
 *              <script>, <style>, <title> and <template>; names and numbers of characters as what they stand for;
 *              blanks as one blank, and one where a tag begins something new, as <p>, <td> or <br> do, while <b> within
 *              a word parts nothing.  Soft hyphens and joints that are not seen are left out.
 * html_end()   the document ends here: what was begun is text, or is dropped, as a browser would.
 *
 * A piece may end anywhere but within a character.  Each byte is looked at once or twice, whatever it is; nothing is kept
 * but the state.  Begin with { 0 }.
 */
#ifndef MESSAGE_HTML_H
#define MESSAGE_HTML_H

#include "base/buffer.h"

struct html {
	int     state;
	char    word[33];              /* of a tag, or behind "&"           */
	uint8_t len;
	uint8_t dashes;                /* seen last in a comment            */
	uint8_t at;                    /* of "</script" so much was there   */
	bool    closing;               /* "</"                              */
	bool    gap, begun;            /* a blank is due; there was text    */
};

void html_text(struct html *, struct bytes utf8, struct buffer *out);
void html_end(struct html *, struct buffer *out);

#endif
