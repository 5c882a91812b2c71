# Records of one source: images, captions, questions, text.


use rule job as source with:
    wildcard_constraints:
        stage="sources",
    message:
        "Making source {wildcards.name}"
