"""One Llama stack with a static cache: Amphion v2 and e-c-k-e-r/vall-e."""

FAMILIES = ()
