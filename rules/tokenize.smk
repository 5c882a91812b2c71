# Texts of a source to token ids.


use rule job as tokenizing with:
    wildcard_constraints:
        stage="tokenize",
    message:
        "Tokenizing the records of {wildcards.name}"
