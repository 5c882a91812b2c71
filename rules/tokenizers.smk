# The text tokenizer, the image tokenizer (VQGAN) and the vocabulary that joins them.


use rule job as tokenizer with:
    wildcard_constraints:
        stage="tokenizers",
    message:
        "Making tokenizer {wildcards.name}"
