"""Everyday beginnings and sentences that lean to no topic and no judgement: where the side effects of steering are measured."""

NEUTRAL_PROMPTS = (
    "The first thing I noticed was",
    "Yesterday we went to the",
    "She told me that",
    "There is a small",
    "When they arrived, the",
    "I have been thinking about",
    "On the other side of the road",
    "He opened the door and",
    "It was about three o'clock when",
    "My neighbour said that the",
    "In the morning the",
    "People often ask me",
    "We waited until the",
    "The letter on the table",
    "At the end of the day",
    "After a while the others",
)
"""Short beginnings, for choosing a layer and a strength."""

NEUTRAL_TEXTS = (
    "The train leaves at seven and arrives shortly before noon. You can cross the river by the old bridge or by the ferry.",
    "Water boils at a lower temperature high in the mountains. It rained a little in the night, but the morning was dry.",
    "He put the keys on the shelf and sat down by the window. The cat slept on the chair while we talked in the kitchen.",
    "Most of the houses in this street were built in the same year. The road turns left behind the church.",
    "She wrote the address on the back of an envelope. Please fill in the form and hand it in at the desk.",
    "The museum is closed on Mondays and open until six on other days. The number of visitors has stayed about the same.",
    "A triangle has three sides and three angles. Bread is made from flour, water, salt and yeast.",
    "They carried the boxes upstairs one after another. Leaves turn yellow in autumn and fall to the ground.",
)
"""Whole sentences, for the divergence on texts that steering should leave alone."""
