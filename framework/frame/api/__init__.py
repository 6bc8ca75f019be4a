"""All that a plugin sees; `frame` hands it on."""
