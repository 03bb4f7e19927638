"""`topology graph`: what rests on what as a picture, in the terminal, as DOT and as SVG."""
