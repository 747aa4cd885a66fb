/*
 * preview -- the first words of a letter, for a list of letters (rfc8970)
 *
 * preview_write() appends at most 200 characters of UTF-8 on one line: of the
 * first plain text, or where that says nothing of the first HTML without its
 * tags.  Attachments are not looked into.
 * part_is_attachment() is a part a person would call attached.
 */
#ifndef MESSAGE_PREVIEW_H
#define MESSAGE_PREVIEW_H

#include "message/mime.h"

void preview_write(const struct mime *, struct buffer *out);
bool part_is_attachment(const struct mime *, uint32_t index);

#endif
