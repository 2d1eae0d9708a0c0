"""The language that gateway, hub and city share: values and their wire forms, pure, importing no other room."""
