"""Messages between holders and coordinator: signed end to end, carried by an untrusted relay."""
