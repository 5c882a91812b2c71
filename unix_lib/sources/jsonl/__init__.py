"""Lines of JSON as the paper's code and LLaVA have them: texts, captions and conversations, with images or codes."""
