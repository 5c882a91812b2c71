# Images of a source to VQGAN codes.


use rule job as encoding with:
    wildcard_constraints:
        stage="encode",
    message:
        "Encoding the images of {wildcards.name}"
