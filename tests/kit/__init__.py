"""What tests of several folders share: a real daemon, clients of it, trees and worker programs in a few words."""
