/* The handlers that Expat calls: each tells the host, and does what the host answers. */
#include "events.h"

#include <stdlib.h>
#include <string.h>

__attribute__((import_module("wasexpat"), import_name("event"))) void wx_host(void);

struct wx_parser {
    XML_Parser expat;
    uint32_t number;
    int specified_only;
    int silent;
    int in_call;
    int collects;      /* whether there is a handler for character data */
    char *collected;
    uint32_t room, used;
};

struct wx_event wx_event;
char wx_texts[WX_TEXTS];

/* The texts of the event that is being made, in memory of its own if they are long. */
static char *long_texts;
static size_t long_room;

static char *reserve(size_t size) {
    if (size <= WX_TEXTS)
        return wx_texts;
    if (size > long_room) {
        char *larger = realloc(long_texts, size);
        if (larger == NULL)
            return NULL;
        long_texts = larger;
        long_room = size;
    }
    return long_texts;
}

/* Tell the host: 0 if that has failed, and so nothing more will be told. */
static int tell(struct wx_parser *self, enum wx_kind kind, const char *texts, size_t size, int32_t number) {
    wx_event.slot = self->number * WX_KINDS + kind;
    wx_event.texts = texts;
    wx_event.size = size;
    wx_event.number = number;
    wx_event.served = 0;
    wx_host();
    if (!wx_event.served && kind != WX_UNKNOWN_ENCODING) {
        wx_silence(self);
        XML_StopParser(self->expat, XML_FALSE);
    }
    return wx_event.served;
}

/* What was collected comes before any other event. */
static int flush(struct wx_parser *self) {
    uint32_t size = self->used;
    if (size == 0)
        return 1;
    self->used = 0;
    if (!self->collects)
        return 1;
    /* The handler may do away with the buffer. */
    char *texts = reserve(size);
    if (texts == NULL) {
        XML_StopParser(self->expat, XML_FALSE);
        return 0;
    }
    memcpy(texts, self->collected, size);
    return tell(self, WX_CHARACTER_DATA, texts, size, 0);
}

/* Tell of an event with `count` texts. */
static int report(struct wx_parser *self, enum wx_kind kind, const char *const *texts, size_t count, int32_t number) {
    if (self->silent || !flush(self))
        return 0;
    size_t size = count;
    for (size_t i = 0; i < count; i++)
        size += texts[i] == NULL ? 1 : strlen(texts[i]);
    char *start = reserve(size), *at = start;
    if (start == NULL) {
        XML_StopParser(self->expat, XML_FALSE);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        size_t length = texts[i] == NULL ? 1 : strlen(texts[i]);
        memcpy(at, texts[i] == NULL ? "\1" : texts[i], length);
        at += length;
        *at++ = '\0';
    }
    return tell(self, kind, start, count == 0 ? 0 : size - 1, number);
}

#define REPORT(kind, number, ...) \
    const char *texts[] = {__VA_ARGS__}; \
    report(self, kind, texts, sizeof texts / sizeof *texts, number)

static void start_element(void *self_, const char *name, const char **attributes) {
    struct wx_parser *self = self_;
    if (self->silent || !flush(self))
        return;
    size_t most = self->specified_only ? (size_t)XML_GetSpecifiedAttributeCount(self->expat) : SIZE_MAX;
    size_t name_length = strlen(name);
    if (*attributes == NULL) { /* the most frequent case */
        char *texts = reserve(name_length);
        if (texts != NULL)
            memcpy(texts, name, name_length);
        else
            XML_StopParser(self->expat, XML_FALSE);
        if (texts != NULL)
            tell(self, WX_START_ELEMENT, texts, name_length, 0);
        return;
    }
    size_t count = 0, size = name_length;
    for (; count < most && attributes[count] != NULL; count++)
        size += 1 + strlen(attributes[count]);
    char *texts = reserve(size);
    if (texts == NULL) {
        XML_StopParser(self->expat, XML_FALSE);
        return;
    }
    memcpy(texts, name, name_length);
    char *at = texts + name_length;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(attributes[i]);
        *at++ = '\0';
        memcpy(at, attributes[i], length);
        at += length;
    }
    tell(self, WX_START_ELEMENT, texts, size, count);
}

static void end_element(void *self, const char *name) {
    REPORT(WX_END_ELEMENT, 0, name);
}

static void processing_instruction(void *self, const char *target, const char *data) {
    REPORT(WX_PROCESSING_INSTRUCTION, 0, target, data);
}

/* Texts with a length, which are told of as they are. */
static int report_data(struct wx_parser *self, enum wx_kind kind, const char *data, int length) {
    char *texts = reserve(length);
    if (texts == NULL) {
        XML_StopParser(self->expat, XML_FALSE);
        return 0;
    }
    memcpy(texts, data, length);
    return tell(self, kind, texts, length, 0);
}

static void character_data(void *self_, const char *data, int length) {
    struct wx_parser *self = self_;
    if (self->silent)
        return;
    if (self->collected != NULL) {
        if (self->used + (uint32_t)length > self->room && (!flush(self) || !self->collects))
            return;
        /* The handler may have changed that, too. */
        if (self->collected != NULL && (uint32_t)length <= self->room) {
            memcpy(self->collected + self->used, data, length);
            self->used += length;
            return;
        }
        self->used = 0;
    }
    report_data(self, WX_CHARACTER_DATA, data, length);
}

static void ignore_character_data(void *self, const char *data, int length) {}

static void default_data(void *self, const char *data, int length) {
    if (((struct wx_parser *)self)->silent || !flush(self))
        return;
    report_data(self, WX_DEFAULT, data, length);
}

static void default_data_expand(void *self, const char *data, int length) {
    if (((struct wx_parser *)self)->silent || !flush(self))
        return;
    report_data(self, WX_DEFAULT_EXPAND, data, length);
}

static void unparsed_entity_decl(void *self, const char *name, const char *base, const char *system, const char *public,
                                 const char *notation) {
    REPORT(WX_UNPARSED_ENTITY_DECL, 0, name, base, system, public, notation);
}

static void notation_decl(void *self, const char *name, const char *base, const char *system, const char *public) {
    REPORT(WX_NOTATION_DECL, 0, name, base, system, public);
}

static void start_namespace_decl(void *self, const char *prefix, const char *uri) {
    REPORT(WX_START_NAMESPACE_DECL, 0, prefix, uri);
}

static void end_namespace_decl(void *self, const char *prefix) {
    REPORT(WX_END_NAMESPACE_DECL, 0, prefix);
}

static void comment(void *self, const char *data) {
    REPORT(WX_COMMENT, 0, data);
}

static void start_cdata_section(void *self) {
    report(self, WX_START_CDATA_SECTION, NULL, 0, 0);
}

static void end_cdata_section(void *self) {
    report(self, WX_END_CDATA_SECTION, NULL, 0, 0);
}

static int not_standalone(void *self) {
    return report(self, WX_NOT_STANDALONE, NULL, 0, 0) ? wx_event.answer : 0;
}

static int external_entity_ref(XML_Parser parser, const char *context, const char *base, const char *system,
                               const char *public) {
    struct wx_parser *self = XML_GetUserData(parser);
    const char *texts[] = {context, base, system, public};
    return report(self, WX_EXTERNAL_ENTITY_REF, texts, 4, 0) ? wx_event.answer : 0;
}

static int refuse_external_entity_ref(XML_Parser parser, const char *context, const char *base, const char *system,
                                      const char *public) {
    return 0;
}

static void start_doctype_decl(void *self, const char *name, const char *system, const char *public, int has_subset) {
    REPORT(WX_START_DOCTYPE_DECL, has_subset, name, system, public);
}

static void end_doctype_decl(void *self) {
    report(self, WX_END_DOCTYPE_DECL, NULL, 0, 0);
}

static void entity_decl(void *self_, const char *name, int is_parameter, const char *value, int length,
                        const char *base, const char *system, const char *public, const char *notation) {
    struct wx_parser *self = self_;
    char *copy = NULL; /* the value is not terminated */
    if (value != NULL) {
        copy = malloc((size_t)length + 1);
        if (copy == NULL) {
            XML_StopParser(self->expat, XML_FALSE);
            return;
        }
        memcpy(copy, value, length);
        copy[length] = '\0';
    }
    REPORT(WX_ENTITY_DECL, is_parameter, name, copy, base, system, public, notation);
    free(copy);
}

static void xml_decl(void *self, const char *version, const char *encoding, int standalone) {
    REPORT(WX_XML_DECL, standalone, version, encoding);
}

static void element_decl(void *self_, const char *name, XML_Content *model) {
    struct wx_parser *self = self_;
    REPORT(WX_ELEMENT_DECL, (int32_t)(uintptr_t)model, name);
    XML_FreeContentModel(self->expat, model);
}

static void attlist_decl(void *self, const char *element, const char *name, const char *type, const char *value,
                         int is_required) {
    REPORT(WX_ATTLIST_DECL, is_required, element, name, type, value);
}

static void skipped_entity(void *self, const char *name, int is_parameter) {
    REPORT(WX_SKIPPED_ENTITY, is_parameter, name);
}

static int unknown_encoding(void *self, const char *name, XML_Encoding *info) {
    const char *texts[] = {name};
    if (!report(self, WX_UNKNOWN_ENCODING, texts, 1, 0))
        return XML_STATUS_ERROR;
    memcpy(info->map, wx_event.map, sizeof wx_event.map);
    info->data = NULL;
    info->convert = NULL;
    info->release = NULL;
    return XML_STATUS_OK;
}

static void set_handler(struct wx_parser *self, enum wx_kind kind, int on) {
    XML_Parser expat = self->expat;
    switch (kind) {
#define SETS(kind, setter, handler) \
    case kind: \
        setter(expat, on ? handler : NULL); \
        break;
        SETS(WX_START_ELEMENT, XML_SetStartElementHandler, start_element)
        SETS(WX_END_ELEMENT, XML_SetEndElementHandler, end_element)
        SETS(WX_PROCESSING_INSTRUCTION, XML_SetProcessingInstructionHandler, processing_instruction)
        SETS(WX_UNPARSED_ENTITY_DECL, XML_SetUnparsedEntityDeclHandler, unparsed_entity_decl)
        SETS(WX_NOTATION_DECL, XML_SetNotationDeclHandler, notation_decl)
        SETS(WX_START_NAMESPACE_DECL, XML_SetStartNamespaceDeclHandler, start_namespace_decl)
        SETS(WX_END_NAMESPACE_DECL, XML_SetEndNamespaceDeclHandler, end_namespace_decl)
        SETS(WX_COMMENT, XML_SetCommentHandler, comment)
        SETS(WX_START_CDATA_SECTION, XML_SetStartCdataSectionHandler, start_cdata_section)
        SETS(WX_END_CDATA_SECTION, XML_SetEndCdataSectionHandler, end_cdata_section)
        SETS(WX_DEFAULT, XML_SetDefaultHandler, default_data)
        SETS(WX_DEFAULT_EXPAND, XML_SetDefaultHandlerExpand, default_data_expand)
        SETS(WX_NOT_STANDALONE, XML_SetNotStandaloneHandler, not_standalone)
        SETS(WX_EXTERNAL_ENTITY_REF, XML_SetExternalEntityRefHandler, external_entity_ref)
        SETS(WX_START_DOCTYPE_DECL, XML_SetStartDoctypeDeclHandler, start_doctype_decl)
        SETS(WX_END_DOCTYPE_DECL, XML_SetEndDoctypeDeclHandler, end_doctype_decl)
        SETS(WX_ENTITY_DECL, XML_SetEntityDeclHandler, entity_decl)
        SETS(WX_XML_DECL, XML_SetXmlDeclHandler, xml_decl)
        SETS(WX_ELEMENT_DECL, XML_SetElementDeclHandler, element_decl)
        SETS(WX_ATTLIST_DECL, XML_SetAttlistDeclHandler, attlist_decl)
        SETS(WX_SKIPPED_ENTITY, XML_SetSkippedEntityHandler, skipped_entity)
    case WX_CHARACTER_DATA:
        /* Expat would go on calling a handler that was taken away in the middle of a piece of text. */
        XML_SetCharacterDataHandler(expat, on ? character_data : self->in_call ? ignore_character_data : NULL);
        self->collects = on;
        break;
    case WX_UNKNOWN_ENCODING:
    case WX_KINDS:
        break;
    }
}

void wx_handle(struct wx_parser *self, enum wx_kind kind, int on) {
    if (kind == WX_CHARACTER_DATA)
        flush(self); /* what came before is the old handler's */
    set_handler(self, kind, on);
}

void wx_silence(struct wx_parser *self) {
    self->silent = 1;
    self->used = 0;
    for (int kind = 0; kind < WX_UNKNOWN_ENCODING; kind++)
        set_handler(self, kind, 0);
    XML_SetExternalEntityRefHandler(self->expat, refuse_external_entity_ref);
}

static struct wx_parser *create(XML_Parser expat, uint32_t number) {
    struct wx_parser *self = expat == NULL ? NULL : calloc(1, sizeof *self);
    if (self == NULL) {
        XML_ParserFree(expat);
        return NULL;
    }
    self->expat = expat;
    self->number = number;
    XML_SetUserData(expat, self);
    XML_SetUnknownEncodingHandler(expat, unknown_encoding, self);
    return self;
}

struct wx_parser *wx_create(const char *encoding, const char *separator, uint32_t number, uint32_t salt) {
    XML_Parser expat = XML_ParserCreate_MM(encoding, NULL, separator);
    if (expat != NULL)
        XML_SetHashSalt(expat, salt);
    return create(expat, number);
}

struct wx_parser *wx_create_external(struct wx_parser *from, const char *context, const char *encoding,
                                     uint32_t number) {
    struct wx_parser *self = create(XML_ExternalEntityParserCreate(from->expat, context, encoding), number);
    if (self == NULL)
        return NULL;
    self->specified_only = from->specified_only;
    self->collects = from->collects;
    if (from->collected != NULL && !wx_buffer(self, from->room)) {
        wx_free(self);
        return NULL;
    }
    return self;
}

void wx_free(struct wx_parser *self) {
    XML_ParserFree(self->expat);
    free(self->collected);
    free(self);
}

XML_Parser wx_expat(struct wx_parser *self) {
    return self->expat;
}

int wx_buffer(struct wx_parser *self, uint32_t size) {
    char *fresh = size == 0 ? NULL : malloc(size);
    if (size != 0 && fresh == NULL)
        return 0;
    free(self->collected);
    self->collected = fresh;
    self->room = size;
    self->used = 0;
    return 1;
}

int wx_silenced(struct wx_parser *self) {
    return self->silent;
}

uint32_t wx_buffered(struct wx_parser *self) {
    return self->used;
}

void wx_flush(struct wx_parser *self) {
    flush(self);
}

void wx_specified_only(struct wx_parser *self, int on) {
    self->specified_only = on;
}

int wx_parse(struct wx_parser *self, int length, int is_final) {
    int outer = self->in_call;
    self->in_call = 1;
    if (!outer)
        self->silent = 0;
    int status = length == 0 ? XML_Parse(self->expat, "", 0, is_final) : XML_ParseBuffer(self->expat, length, is_final);
    if (status != XML_STATUS_ERROR && !self->silent)
        flush(self);
    self->in_call = outer;
    return status;
}
