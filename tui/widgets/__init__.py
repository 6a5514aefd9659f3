"""The widgets of the screens, named after what people see."""
