"""The gateway: reads cards, decides, writes down, signals, delivers."""
