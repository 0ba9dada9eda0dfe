"""How the learning rate runs over a budget."""


def learning_rate_scale(fraction: float, *, warmup_share: float, cooldown_share: float) -> float:
    """Warm-up, constant, cool-down: the learning rate as a share of its peak, at a fraction of the budget."""
    rising = fraction / warmup_share if warmup_share else 1.0
    falling = (1 - fraction) / cooldown_share if cooldown_share else 1.0
    return max(0.0, min(1.0, rising, falling))
