"""The mathematics of one step and its votes: from p and k to success and cost, and bounds that hold whatever p is."""
