"""JBD (Jiabaida, Xiaoxiang, Overkill Solar) battery management systems."""
