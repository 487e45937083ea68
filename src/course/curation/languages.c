/* Languages that share a script, told apart by their function words. */
#include <string.h>

#include "course/curation/curation.h"

enum { LANGUAGES = 10, SLOTS = 1024 };

/* Common words; one that two languages have counts for neither. */
static const char *const common[LANGUAGES] = {
    /* English    */ "the of and to is that it for was with as be this have from they we say her "
                     "she or will my one all would there their what so up "
                     "out if about who get which go when make can like no just him know take into "
                     "your some could them see other than then now only its over also after",
    /* German     */
    "der die und das ist nicht ein zu den mit sich auf für von dem eine auch es als wie werden aus "
    "er hat dass sie nach wird bei einer um noch wenn "
    "nur oder aber vor zur bis mehr durch man sein wurde sei schon kann diese ich wir haben sind "
    "ihr über zum einen muss dann",
    /* French     */
    "le les des et est un une du dans qui que pour pas sur plus par avec ce il au sont cette nous "
    "vous je ne ont ses mais comme ou elle être aux "
    "fait leur si bien deux même aussi donc alors chaque était peut très sans tout elles ils",
    /* Spanish    */
    "el los las y es una del que por con para no se lo como más pero sus le ya este sí porque esta "
    "entre cuando muy sin sobre también hasta hay "
    "donde quien desde todo nos durante todos uno ni contra otros ese eso ante ellos cada fue "
    "tiene entonces",
    /* Italian    */
    "il gli di che è un per non si sono della con ha dei da nel alla le anche come più ma se al "
    "questo delle lo ed degli questa loro ci essere stato "
    "quando due molto dal tra sua suo dopo fatto cosa perché quindi ogni può allora hanno",
    /* Portuguese */
    "o os as e do da em um uma para não com que por mais dos como mas foi ao ele das tem seu sua "
    "ou ser quando muito nos já está eu também só pelo "
    "pela até isso ela entre era depois sem mesmo aos ter seus quem nas são então cada",
    /* Dutch      */
    "de het een en van ik te dat die niet zijn is was op aan met als voor had er maar om hem dan "
    "zou of wat mijn men dit zo door over ze zich bij "
    "ook tot je mij uit der daar haar naar heb hoe heeft hebben deze want nog zal me zij nu ge "
    "geen omdat iets worden toch al waren veel meer doen "
    "toen moet ben zonder kan hun dus alles onder",
    /* Swedish    */
    "och det att jag en som hon han på den med var sig för så till är men ett om hade de av icke "
    "mig du henne då sin nu har inte hans honom skulle "
    "hennes där min man ej vid kunde något från ut när efter upp vi dem vara vad över än dig kan "
    "sina här ha mot alla under någon eller allt mycket sedan",
    /* Polish     */
    "w i na z do się nie jest to że o jak za od po ale przez co czy dla tak tym przy tylko są jego "
    "już być oraz może ich lub także który które która "
    "jako tej ten tego bardzo gdy więc każdy było był będzie ze",
    /* Turkish    */
    "ve bir bu için da ile çok daha gibi olarak ne var kadar sonra değil olan ama ise o her ya en "
    "mi kendi zaman ben diye çünkü şey hiç onun bunu "
    "yani iki nasıl biz sen onu bana şimdi ancak veya göre olduğu"
};

static uint64_t *slot_of(uint64_t (*slots)[2], uint64_t hash)
{
    uint64_t i = hash % SLOTS;
    while (slots[i][0] && slots[i][0] != hash) i = (i + 1) % SLOTS;
    return slots[i];
}

kd_status kd__languages_learn(kd__filter *f, kd__arena *arena)
{
    const int64_t bytes = SLOTS * (int64_t)sizeof *f->languages;
    KD_TRY(kd__arena_take(arena, bytes, (void **)&f->languages));
    memset(f->languages, 0, (size_t)bytes);
    for (uint64_t language = 0; language < LANGUAGES; language++) {
        kd__words words = kd__words_of(common[language]);
        uint64_t hash;
        while (kd__next_word(&words, &hash)) {
            uint64_t *slot = slot_of(f->languages, hash);
            const int shared = slot[0] && slot[1] != language + 1;
            slot[0] = hash;
            slot[1] = shared ? 0 : language + 1;
        }
    }
    return KD_OK;
}

static void count_languages(const kd__filter *f, const char *text, int64_t counts[LANGUAGES + 1])
{
    kd__words words = kd__words_of(text);
    uint64_t hash;
    while (kd__next_word(&words, &hash)) counts[slot_of(f->languages, hash)[1]]++;
}

const char *kd__rule_languages(const kd__filter *f, const kd_record *r)
{
    int64_t said[LANGUAGES + 1] = { 0 }, asked[LANGUAGES + 1] = { 0 }, all = 0, other = 0;
    int most = 1;
    count_languages(f, r->completion, said);
    count_languages(f, r->prompt, asked);
    for (int i = 1; i <= LANGUAGES; i++) {
        all += said[i];
        if (said[i] > said[most]) most = i;
    }
    for (int i = 1; i <= LANGUAGES; i++) other += i != most && asked[i] < 2 ? said[i] : 0;
    const double least = f->numbers[KD_CURATION_MIN_FOREIGN_WORDS],
                 share = f->numbers[KD_CURATION_MAX_FOREIGN_SHARE];
    const int mixed = (double)other >= least && (double)other > share * (double)all;
    return mixed ? "mixed languages" : NULL;
}
